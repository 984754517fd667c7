//! The service under test, and beside it the logs that it follows.

use contracts::segmentation::v1::segmentation_service_client::SegmentationServiceClient;
use event_log::{ConsistencyToken, EventLog};
use service::{Config, GroundError, ServiceName};
use testing::stack::{Authorized, Peers, UnderTest};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) type Stack = testing::stack::Stack<Segmentation>;
pub(crate) type Client = SegmentationServiceClient<Authorized>;

pub(crate) struct Segmentation {
    /// The log of the customers service.
    pub(crate) customers: EventLog,
    /// The log of the interactions service.
    pub(crate) interactions: EventLog,
}

impl Segmentation {
    /// A token for everything that was recorded about customers so far.
    pub(crate) async fn fed(&self) -> String {
        let mut tokens = Vec::new();
        for log in [&self.customers, &self.interactions] {
            tokens.push(
                ConsistencyToken::new(log.name(), log.epoch(), log.heads().await.unwrap())
                    .to_string(),
            );
        }
        tokens.join(" ")
    }
}

impl UnderTest for Segmentation {
    const NAME: ServiceName = ServiceName::Segmentation;
    const LOGS: &[ServiceName] = &[ServiceName::Customers, ServiceName::Interactions];
    type Client = Client;

    fn client(channel: Authorized) -> Client {
        SegmentationServiceClient::new(channel)
    }

    async fn serve(
        config: &Config,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<(), GroundError> {
        segmentation::serve(config, listener, shutdown).await
    }

    async fn surround(peers: &mut Peers) -> Self {
        Self {
            customers: peers.serve_log(ServiceName::Customers).await,
            interactions: peers.serve_log(ServiceName::Interactions).await,
        }
    }
}
