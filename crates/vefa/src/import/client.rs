//! The customers service as an import calls it: what passes is tried again, what is refused is an answer, and everything else ends the import.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use contracts::{
    common::v1::{GetHeadsRequest, log_service_client::LogServiceClient},
    customers::v1::{RegisterCustomerRequest, customers_service_client::CustomersServiceClient},
};
use event_log::ConsistencyToken;
use serde::{Deserialize, Serialize};
use service::{client::Address, config::Peers};
use tokio::time::{Instant, sleep};
use tonic::{Code, Request, Status, service::interceptor::InterceptedService, transport::Channel};
use tonic_types::StatusExt as _;

use crate::headers::Headers;

/// How long one attempt may take.
const ATTEMPT_MAX: Duration = Duration::from_secs(30);
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// The first pause before another attempt, and the longest.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

type Wire = InterceptedService<Channel, Headers>;

/// The service.
#[derive(Clone)]
pub(super) struct Service {
    customers: CustomersServiceClient<Wire>,
    log: LogServiceClient<Wire>,
    patience: Duration,
}

/// What became of a registration.
pub(super) enum Answer {
    /// It is done, now or earlier, as the token tells.
    Done(String),
    /// It is refused, and will be.
    Refused(Status),
}

impl Service {
    /// Connects at the first call. `patience` is how long a call is tried again.
    pub(super) fn new(
        url: &str,
        peers: &Peers,
        headers: Headers,
        patience: Duration,
    ) -> Result<Self> {
        let mut address = Address::new(url, peers)?;
        address.endpoint = address
            .endpoint
            .connect_timeout(CONNECT_MAX)
            .tcp_nodelay(true);
        let wire = InterceptedService::new(address.connect_lazy(), headers);
        Ok(Self {
            customers: CustomersServiceClient::new(wire.clone()),
            log: LogServiceClient::new(wire),
            patience,
        })
    }

    /// How far the log has come.
    pub(super) async fn heads(&self) -> Result<Heads, Status> {
        let ask = || async {
            let mut request = Request::new(GetHeadsRequest {});
            request.set_timeout(ATTEMPT_MAX);
            self.log.clone().get_heads(request).await
        };
        let answer = patiently(self.patience, ask).await?.into_inner();
        let positions = answer.heads.iter();
        Ok(Heads {
            epoch: answer.epoch,
            positions: positions
                .map(|head| (head.partition, head.position))
                .collect(),
        })
    }

    /// Registers, however often it takes.
    ///
    /// # Errors
    /// When patience is over, or no other line would fare better.
    pub(super) async fn register(
        &self,
        registration: &RegisterCustomerRequest,
    ) -> Result<Answer, Status> {
        let ask = || async {
            let mut request = Request::new(registration.clone());
            request.set_timeout(ATTEMPT_MAX);
            self.customers.clone().register_customer(request).await
        };
        match patiently(self.patience, ask).await {
            Ok(answer) => Ok(Answer::Done(answer.into_inner().consistency_token)),
            Err(status) if is_about_the_line(&status) => Ok(Answer::Refused(status)),
            Err(status) => Err(status),
        }
    }
}

/// Asks until it is answered, with pauses that grow.
async fn patiently<T>(
    patience: Duration,
    ask: impl AsyncFn() -> Result<T, Status>,
) -> Result<T, Status> {
    let deadline = Instant::now() + patience;
    let mut pause = PAUSE;
    loop {
        match ask().await {
            Err(status) if passes(&status) && Instant::now() + pause < deadline => {
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            answer => return answer,
        }
    }
}

/// Whether the same call may fare better in a moment. An internal error that the service knows of has an `ErrorInfo`; without one,
/// a connection broke.
fn passes(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable
        | Code::ResourceExhausted
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::Cancelled
        | Code::Unknown => true,
        Code::Internal => status.get_details_error_info().is_none(),
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => false,
    }
}

/// Whether another line can fare better.
fn is_about_the_line(status: &Status) -> bool {
    match status.code() {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::OutOfRange => true,
        Code::Internal => status.get_details_error_info().is_some(),
        Code::Ok
        | Code::Unavailable
        | Code::ResourceExhausted
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::Cancelled
        | Code::Unknown
        | Code::PermissionDenied
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => false,
    }
}

/// How far a log had come when the import began: what is at or below it was there before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Heads {
    epoch: u32,
    positions: BTreeMap<u32, u64>,
}

impl Heads {
    /// Whether what a token stands for was there.
    pub(super) fn cover(&self, token: &str) -> bool {
        let Ok(token) = token.parse::<ConsistencyToken>() else {
            return false;
        };
        let was_there = |partition: u32, position: i64| {
            let head = self.positions.get(&partition).copied().unwrap_or(0);
            position.unsigned_abs() <= head
        };
        i64::from(token.epoch) == i64::from(self.epoch)
            && !token.positions.is_empty()
            && token
                .positions
                .iter()
                .all(|(partition, position)| was_there(partition.number().into(), *position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_is_told_from_what_came_since() {
        let heads = Heads {
            epoch: 2,
            positions: [(3, 7)].into(),
        };
        assert!(heads.cover("customers.2.3-7"));
        for since in [
            "customers.2.3-8",
            "customers.2.4-1",
            "customers.1.3-7",
            "customers.2.",
            "x",
        ] {
            assert!(!heads.cover(since), "{since}");
        }
    }
}
