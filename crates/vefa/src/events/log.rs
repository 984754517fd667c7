//! The log of a service, read over gRPC with the analyst's own token.

use std::collections::BTreeMap;

use aggregate::{Partition, TenantId};
use anyhow::Result;
use contracts::common::v1::{
    Fork, GetHeadsRequest, LoggedEvent, ReadLogRequest, ReadLogResponse,
    log_service_client::LogServiceClient,
};
use service::{Config, ServiceName};
use tonic::{
    Code, Status, Streaming, service::interceptor::InterceptedService, transport::Channel,
};

use super::access::Bearer;

/// Events asked for at once: a reader who is slow keeps no call open for longer than these take.
const PAGE_EVENTS: u32 = 10_000;

/// A log that was not read.
#[derive(Debug, thiserror::Error)]
#[error("reading the log of {service} at {url}: {} ({:?})", status.message(), status.code())]
pub(crate) struct Unread {
    service: ServiceName,
    url: String,
    status: Box<Status>,
}

impl Unread {
    /// Whether it makes no sense to ask again: the token is not good, or not for this.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(
            self.status.code(),
            Code::Unauthenticated
                | Code::PermissionDenied
                | Code::InvalidArgument
                | Code::Unimplemented
        )
    }
}

/// How far a log has come.
pub(crate) struct Heads {
    pub(crate) epoch: u32,
    pub(crate) positions: BTreeMap<Partition, u64>,
    pub(crate) forks: Vec<Fork>,
}

impl Heads {
    pub(crate) fn of(&self, partition: Partition) -> u64 {
        self.positions.get(&partition).copied().unwrap_or(0)
    }
}

/// The log of one service, of which one tenant's events are read.
#[derive(Clone)]
pub(crate) struct ServiceLog {
    pub(crate) service: ServiceName,
    pub(crate) tenant: TenantId,
    url: String,
    client: LogServiceClient<InterceptedService<Channel, Bearer>>,
}

impl ServiceLog {
    /// Connects at the first call. It must be made inside a Tokio runtime.
    ///
    /// # Errors
    /// When the address in the configuration is not a URL.
    pub(crate) fn new(
        config: &Config,
        service: ServiceName,
        bearer: &Bearer,
        tenant: &TenantId,
    ) -> Result<Self> {
        let url = config.peer_url(service);
        let channel = service::client::channel(config, service, "vefa-events")?;
        let client = LogServiceClient::with_interceptor(channel, bearer.clone())
            .max_decoding_message_size(config.limits.message_bytes_max);
        Ok(Self {
            service,
            tenant: tenant.clone(),
            url,
            client,
        })
    }

    fn unread(&self, status: Status) -> Unread {
        Unread {
            service: self.service,
            url: self.url.clone(),
            status: Box::new(status),
        }
    }

    pub(crate) async fn heads(&self) -> Result<Heads, Unread> {
        let answer = self.client.clone().get_heads(GetHeadsRequest {}).await;
        let answer = answer.map_err(|status| self.unread(status))?.into_inner();
        let positions = answer.heads.iter().filter_map(|head| {
            let partition = Partition::parse(head.partition).ok()?;
            Some((partition, head.position))
        });
        Ok(Heads {
            epoch: answer.epoch,
            positions: positions.collect(),
            forks: answer.forks,
        })
    }

    /// The tenant's events of a partition after a position, in order, up to where the log ends when they have been read.
    pub(crate) fn read(&self, partition: Partition, after: u64) -> Reading {
        Reading {
            log: self.clone(),
            partition,
            after,
            page: None,
            left: 0,
        }
    }
}

/// Reads on, page by page.
pub(crate) struct Reading {
    log: ServiceLog,
    partition: Partition,
    after: u64,
    page: Option<Streaming<ReadLogResponse>>,
    left: u32,
}

impl Reading {
    /// The next event; none at the end of the log.
    pub(crate) async fn next(&mut self) -> Result<Option<LoggedEvent>, Unread> {
        loop {
            let page = match &mut self.page {
                Some(page) => page,
                None => {
                    let page = self.open().await?;
                    self.page.insert(page)
                }
            };
            let answer = page.message().await;
            match answer.map_err(|status| self.log.unread(status))? {
                Some(ReadLogResponse { event: Some(event) }) => {
                    self.left = self.left.saturating_sub(1);
                    self.after = event.position;
                    // A token for all tenants is answered with the events of all.
                    if event.tenant == self.log.tenant.as_str() {
                        return Ok(Some(event));
                    }
                }
                Some(ReadLogResponse { event: None }) => {}
                None if self.left > 0 => return Ok(None),
                None => self.page = None,
            }
        }
    }

    async fn open(&mut self) -> Result<Streaming<ReadLogResponse>, Unread> {
        self.left = PAGE_EVENTS;
        let request = ReadLogRequest {
            partition: self.partition.number().into(),
            after_position: self.after,
            limit: PAGE_EVENTS,
        };
        let answer = self.log.client.clone().read_log(request).await;
        let answer = answer.map_err(|status| self.log.unread(status))?;
        Ok(answer.into_inner())
    }
}
