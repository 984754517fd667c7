//! The service under test, and the customers service that it asks and follows.

use aggregate::CustomerId;
use contracts::{
    customers::v1::customers_service_server::CustomersServiceServer,
    interactions::v1::interactions_service_client::InteractionsServiceClient,
};
use event_log::EventLog;
use service::{Config, GroundError, ServiceName, limited};
use testing::stack::{Authorized, Peers, TENANT, UnderTest};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::peer::Customers;

pub(crate) type Stack = testing::stack::Stack<Interactions>;
pub(crate) type Client = InteractionsServiceClient<Authorized>;

pub(crate) struct Interactions {
    /// Whom the customers service knows.
    pub(crate) customers: Customers,
    /// The log of the customers service.
    pub(crate) customers_log: EventLog,
}

impl Interactions {
    /// A customer of [`TENANT`] whom the customers service knows.
    pub(crate) fn customer(&self) -> CustomerId {
        self.customers.add(TENANT)
    }
}

impl UnderTest for Interactions {
    const NAME: ServiceName = ServiceName::Interactions;
    const LOGS: &[ServiceName] = &[ServiceName::Customers];
    type Client = Client;

    fn client(channel: Authorized) -> Client {
        InteractionsServiceClient::new(channel)
    }

    async fn serve(
        config: &Config,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<(), GroundError> {
        interactions::serve(config, listener, shutdown).await
    }

    async fn surround(peers: &mut Peers) -> Self {
        let customers = Customers::default();
        let api = customers.clone();
        let limits = peers.config().limits.clone();
        let add = move |server: service::Server| {
            server.add_service(limited!(CustomersServiceServer::new(api), limits))
        };
        Self {
            customers,
            customers_log: peers.serve_log_and(ServiceName::Customers, add).await,
        }
    }
}
