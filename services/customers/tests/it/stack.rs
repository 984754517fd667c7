//! The service under test, and beside it the log that it follows.

use contracts::{
    common::v1::log_service_client::LogServiceClient,
    customers::v1::customers_service_client::CustomersServiceClient,
};
use event_log::EventLog;
use service::{Config, GroundError, ServiceName};
use testing::stack::{Authorized, Peers, UnderTest};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) type Stack = testing::stack::Stack<Customers>;
pub(crate) type Client = CustomersServiceClient<Authorized>;
pub(crate) type LogClient = LogServiceClient<Authorized>;

pub(crate) struct Customers {
    /// The log of the interactions service.
    pub(crate) interactions: EventLog,
}

impl UnderTest for Customers {
    const NAME: ServiceName = ServiceName::Customers;
    const LOGS: &[ServiceName] = &[ServiceName::Interactions];
    type Client = Client;

    fn client(channel: Authorized) -> Client {
        CustomersServiceClient::new(channel)
    }

    async fn serve(
        config: &Config,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<(), GroundError> {
        customers::serve(config, listener, shutdown).await
    }

    async fn surround(peers: &mut Peers) -> Self {
        Self {
            interactions: peers.serve_log(ServiceName::Interactions).await,
        }
    }
}
