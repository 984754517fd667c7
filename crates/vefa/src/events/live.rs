//! What is heard from NATS, as long as there is a connection.

use std::{future::pending, time::Duration};

use aggregate::Partition;
use anyhow::Result;
use event_bus::{Bus, BusError, Heard, Subscription};

use super::{log::ServiceLog, tell};

/// How often it is looked whether the connection is another one, and whether the log failed to answer.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A subscription, and of which connection it is.
pub(super) struct Live {
    bus: Bus,
    subscription: Subscription,
    connections: u64,
}

impl Live {
    /// Subscribes to the events of a log, in these partitions or in more.
    pub(super) async fn begin<'a>(
        bus: Bus,
        log: &ServiceLog,
        mut partitions: impl ExactSizeIterator<Item = &'a Partition>,
    ) -> Result<Self> {
        let only = if partitions.len() == 1 {
            partitions.next().copied()
        } else {
            None
        };
        let service = log.service;
        let subscription = bus.subscribe(&log.tenant, service.as_str(), only).await?;
        if let Err(error) = subscription.sent().await {
            let error = anyhow::Error::new(error);
            tell(&format!(
                "{service}: {error:#}; the log is read every {LOOK_AGAIN:?} until NATS is there"
            ));
        }
        Ok(Self {
            connections: bus.connections(),
            bus,
            subscription,
        })
    }

    /// Whether there is no connection, or another one than when this was asked before.
    pub(super) fn may_have_missed(&mut self) -> bool {
        let connections = self.bus.connections();
        let reconnected = connections != self.connections;
        self.connections = connections;
        reconnected || !self.bus.is_connected()
    }
}

/// Waits for the next event; for ever where nobody listens.
pub(super) async fn next(live: &mut Option<Live>) -> Result<Heard, BusError> {
    match live {
        Some(live) => live.subscription.next().await,
        None => pending().await,
    }
}
