//! Waiting until the services have nothing left to do.

use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::{Instant, sleep};

use super::client::Clients;
use super::service::{PerService, Service};

const LIMIT: Duration = Duration::from_secs(20);
/// Two looks this far apart that see the same show that nothing moves any more: timers that are due are looked for more often.
const QUIET: Duration = Duration::from_millis(600);

/// Waits until every reader of every log has come to its end and nothing moves any more. Returns how many
/// events each log then holds.
pub(crate) async fn settle(clients: &Clients) -> anyhow::Result<PerService<u64>> {
    let deadline = Instant::now() + LIMIT;
    let mut before = look(clients).await?;
    loop {
        sleep(QUIET).await;
        let now = look(clients).await?;
        if now == before && now.all_applied() {
            return Ok(now.heads);
        }
        if Instant::now() > deadline {
            bail!("after {LIMIT:?} the services are still at work: {now:?}");
        }
        before = now;
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Look {
    heads: PerService<u64>,
    applied: Vec<(String, u64)>,
}

impl Look {
    /// A reader follows one log from its beginning to its head.
    fn all_applied(&self) -> bool {
        let is_end = |applied| self.heads.iter().any(|(_, head)| *head == applied);
        self.applied.iter().all(|(_, applied)| is_end(*applied))
    }
}

async fn look(clients: &Clients) -> anyhow::Result<Look> {
    let mut heads = Vec::new();
    let mut applied = Vec::new();
    for service in Service::ALL {
        heads.push(clients.heads(service).await?.events);
        applied.extend(clients.progress(service).await?);
    }
    let mut heads = heads.into_iter();
    Ok(Look {
        heads: PerService::try_new(|_| heads.next().context("one for each service"))?,
        applied,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_is_behind_is_not_at_an_end() {
        let mut look = Look {
            heads: PerService::try_new(|service| {
                Ok::<_, ()>(if service == Service::Customers { 7 } else { 3 })
            })
            .unwrap(),
            applied: vec![("a".to_owned(), 7), ("b".to_owned(), 3)],
        };
        assert!(look.all_applied());
        look.applied[0].1 = 6;
        assert!(!look.all_applied());
    }
}
