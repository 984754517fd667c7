//! The log for those who follow it: `LogService` as a server, and as the origin that a follower asks for what its stream lacks.

mod subject;

use std::{collections::VecDeque, pin::Pin};

use aggregate::{CustomerId, Partition, StreamId, TenantId};
use contracts::common::v1::{
    EventMetadata, ExportSubjectRequest, ExportSubjectResponse, Fork as ForkAnswer,
    GetErasureRequest, GetErasureResponse, GetHeadsRequest, GetHeadsResponse, GetProgressRequest,
    GetProgressResponse, LoggedEvent, PartitionPosition, Progress, ReadLogRequest, ReadLogResponse,
    Wiped as WipedAnswer, log_service_client::LogServiceClient, log_service_server::LogService,
};
use event_bus::{Origin, OriginError};
use event_log::{ConsistencyToken, EventLog, Fork, History, StoredEvent, Subject, timestamp};
use futures::{Stream, TryStreamExt as _, stream};
use prost::Message as _;
use tonic::{Request, Response, Status};

use crate::{auth::Principal, client::Peer, command::failed, config::ServiceName, status};

/// Events read from PostgreSQL at once.
const PAGE_EVENTS: i64 = 500;

/// Serves one log.
pub(crate) struct LogApi {
    name: ServiceName,
    log: EventLog,
}

impl LogApi {
    pub(crate) fn new(name: ServiceName, log: EventLog) -> Self {
        Self { name, log }
    }

    fn principal<T>(&self, request: &Request<T>) -> Result<Principal, Status> {
        self.principal_for(request, "read")
    }

    fn principal_for<T>(&self, request: &Request<T>, right: &str) -> Result<Principal, Status> {
        let principal = Principal::of(request)?;
        principal.require(&format!("{}.{right}", self.name))?;
        Ok(principal.clone())
    }
}

fn customer_of(customer_id: &str) -> Result<CustomerId, Status> {
    customer_id
        .parse()
        .map_err(|_| status::invalid_field("customer_id", "is not a UUID"))
}

/// One partition, page by page.
struct Reading {
    log: EventLog,
    partition: Partition,
    after: i64,
    until: i64,
    left: u64,
    tenant: Option<TenantId>,
    page: VecDeque<StoredEvent>,
}

impl Reading {
    /// From after a position up to the present head.
    async fn begin(
        log: &EventLog,
        partition: Partition,
        after: i64,
        limit: u32,
        tenant: Option<TenantId>,
    ) -> Result<Self, Status> {
        let heads = log.heads().await.map_err(failed)?;
        Ok(Self {
            log: log.clone(),
            partition,
            after,
            until: heads.get(&partition).copied().unwrap_or(0),
            left: if limit == 0 { u64::MAX } else { limit.into() },
            tenant,
            page: VecDeque::new(),
        })
    }

    /// The next event, and what comes behind it.
    async fn next(mut self) -> Result<Option<(StoredEvent, Self)>, Status> {
        loop {
            if self.left == 0 {
                return Ok(None);
            }
            if let Some(event) = self.page.pop_front() {
                let theirs = self
                    .tenant
                    .as_ref()
                    .is_none_or(|tenant| *tenant == event.tenant);
                if theirs {
                    self.left -= 1;
                    return Ok(Some((event, self)));
                }
                continue;
            }
            if self.after >= self.until {
                return Ok(None);
            }
            let limit = PAGE_EVENTS.min(self.until - self.after);
            let read = self
                .log
                .read_after(&[(self.partition, self.after)], limit)
                .await
                .map_err(failed)?;
            let Some(last) = read.last() else {
                return Ok(None);
            };
            self.after = last.position;
            self.page = read.into();
        }
    }
}

#[tonic::async_trait]
impl LogService for LogApi {
    type ReadLogStream = Pin<Box<dyn Stream<Item = Result<ReadLogResponse, Status>> + Send>>;

    async fn read_log(
        &self,
        request: Request<ReadLogRequest>,
    ) -> Result<Response<Self::ReadLogStream>, Status> {
        let principal = self.principal(&request)?;
        let tenant = match principal.require_all_tenants() {
            Ok(()) => None,
            Err(_) => Some(principal.tenant),
        };
        let request = request.into_inner();
        let partition = Partition::parse(request.partition)
            .map_err(|error| status::invalid_field("partition", error.to_string()))?;
        let after = i64::try_from(request.after_position)
            .map_err(|_| status::invalid_field("after_position", "is not a position"))?;
        let reading = Reading::begin(&self.log, partition, after, request.limit, tenant).await?;
        let epoch = self.log.epoch();
        let events = stream::try_unfold(reading, Reading::next).map_ok(move |event| {
            let event = Some(to_proto(event, epoch));
            ReadLogResponse { event }
        });
        Ok(Response::new(Box::pin(events)))
    }

    async fn get_heads(
        &self,
        request: Request<GetHeadsRequest>,
    ) -> Result<Response<GetHeadsResponse>, Status> {
        self.principal(&request)?;
        let History {
            epoch,
            heads,
            forks,
        } = self.log.history().await.map_err(failed)?;
        let reached = heads.iter().filter(|(_, position)| **position > 0);
        let token = ConsistencyToken::new(self.log.name(), epoch, reached.map(|(p, n)| (*p, *n)));
        Ok(Response::new(GetHeadsResponse {
            epoch: u32::try_from(epoch).unwrap_or_default(),
            consistency_token: token.to_string(),
            heads: heads
                .into_iter()
                .map(|(partition, position)| PartitionPosition {
                    partition: partition.number().into(),
                    position: position.unsigned_abs(),
                })
                .collect(),
            forks: forks
                .into_iter()
                .map(|fork| ForkAnswer {
                    epoch: u32::try_from(fork.epoch).unwrap_or_default(),
                    partition: fork.partition.number().into(),
                    position: fork.position.unsigned_abs(),
                })
                .collect(),
        }))
    }

    async fn get_progress(
        &self,
        request: Request<GetProgressRequest>,
    ) -> Result<Response<GetProgressResponse>, Status> {
        self.principal(&request)?;
        let progress = self.log.progress().await.map_err(failed)?;
        Ok(Response::new(GetProgressResponse {
            progress: progress
                .into_iter()
                .map(|(projection, applied)| Progress {
                    projection,
                    applied: applied.unsigned_abs(),
                })
                .collect(),
        }))
    }

    async fn get_erasure(
        &self,
        request: Request<GetErasureRequest>,
    ) -> Result<Response<GetErasureResponse>, Status> {
        let principal = self.principal(&request)?;
        let customer = customer_of(&request.get_ref().customer_id)?;
        let subject = Subject {
            tenant: principal.tenant,
            customer,
        };
        let wiped = self.log.wiped(&subject).await.map_err(failed)?;
        Ok(Response::new(GetErasureResponse {
            wiped: wiped
                .into_iter()
                .map(|wiped| WipedAnswer {
                    what: wiped.what,
                    rows: wiped.rows,
                    wiped_time: Some(timestamp::to_proto(wiped.wiped_at)),
                })
                .collect(),
        }))
    }

    type ExportSubjectStream =
        Pin<Box<dyn Stream<Item = Result<ExportSubjectResponse, Status>> + Send>>;

    async fn export_subject(
        &self,
        request: Request<ExportSubjectRequest>,
    ) -> Result<Response<Self::ExportSubjectStream>, Status> {
        let principal = self.principal_for(&request, "export")?;
        let customer = customer_of(&request.get_ref().customer_id)?;
        let exported = subject::export(&self.log, principal.tenant, customer).await?;
        Ok(Response::new(Box::pin(exported)))
    }
}

/// Another service's log, asked over gRPC.
pub(crate) struct PeerLog(pub(crate) Peer);

impl Origin for PeerLog {
    async fn read(
        &self,
        partition: Partition,
        after: i64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, OriginError> {
        let request = ReadLogRequest {
            partition: partition.number().into(),
            after_position: after.unsigned_abs(),
            limit,
        };
        let answers = LogServiceClient::new(self.0.for_all_tenants())
            .read_log(request)
            .await?;
        let answers: Vec<ReadLogResponse> = answers.into_inner().try_collect().await?;
        answers
            .into_iter()
            .filter_map(|answer| answer.event)
            .map(|event| {
                from_proto(event)
                    .ok_or_else(|| OriginError::from("the origin sent something that is no event"))
            })
            .collect()
    }

    async fn history(&self) -> Result<History, OriginError> {
        let answer = LogServiceClient::new(self.0.for_all_tenants())
            .get_heads(GetHeadsRequest {})
            .await?
            .into_inner();
        history_of(answer)
            .ok_or_else(|| OriginError::from("the origin sent something that is no history"))
    }
}

fn history_of(answer: GetHeadsResponse) -> Option<History> {
    let mut history = History {
        epoch: i32::try_from(answer.epoch).ok()?,
        ..History::default()
    };
    for head in answer.heads {
        let partition = Partition::parse(head.partition).ok()?;
        let position = i64::try_from(head.position).ok()?;
        history.heads.insert(partition, position);
    }
    for fork in answer.forks {
        history.forks.push(Fork {
            epoch: i32::try_from(fork.epoch).ok()?,
            partition: Partition::parse(fork.partition).ok()?,
            position: i64::try_from(fork.position).ok()?,
        });
    }
    Some(history)
}

fn to_proto(event: StoredEvent, epoch: i32) -> LoggedEvent {
    LoggedEvent {
        metadata: event.metadata().ok(),
        tenant: event.tenant.into(),
        partition: event.partition.number().into(),
        position: event.position.unsigned_abs(),
        stream_id: event.stream_id.to_string(),
        version: event.version.unsigned_abs(),
        epoch: u32::try_from(epoch).unwrap_or_default(),
        event_id: event.event_id.to_string(),
        r#type: event.type_,
        schema_version: u32::try_from(event.schema_version).unwrap_or_default(),
        payload: event.payload,
        occurred_time: Some(timestamp::to_proto(event.occurred_at)),
        recorded_time: Some(timestamp::to_proto(event.recorded_at)),
    }
}

fn from_proto(event: LoggedEvent) -> Option<StoredEvent> {
    let metadata: EventMetadata = event.metadata.unwrap_or_default();
    Some(StoredEvent {
        tenant: TenantId::parse(&event.tenant).ok()?,
        partition: Partition::parse(event.partition).ok()?,
        position: i64::try_from(event.position).ok()?,
        stream_id: event.stream_id.parse::<StreamId>().ok()?,
        version: i64::try_from(event.version).ok()?,
        event_id: event.event_id.parse().ok()?,
        type_: event.r#type,
        schema_version: i16::try_from(event.schema_version).ok()?,
        payload: event.payload,
        metadata: metadata.encode_to_vec().into(),
        occurred_at: timestamp::from_proto(&event.occurred_time?).ok()?,
        recorded_at: timestamp::from_proto(&event.recorded_time?).ok()?,
    })
}
