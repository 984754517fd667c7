//! The service under test, the services whose events it follows, and the one that it asks for segments.

use contracts::{
    campaigns::v1::campaigns_service_client::CampaignsServiceClient,
    segmentation::v1::segmentation_service_server::SegmentationServiceServer,
};
use event_log::EventLog;
use service::{Config, GroundError, ServiceName, limited};
use testing::stack::{Authorized, Peers, UnderTest};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::segmentation::Segmentation;

pub(crate) type Stack = testing::stack::Stack<Campaigns>;
pub(crate) type Client = CampaignsServiceClient<Authorized>;

pub(crate) struct Campaigns {
    /// The log of the customers service.
    pub(crate) customers: EventLog,
    /// The log of the interactions service.
    pub(crate) interactions: EventLog,
    /// The segments, and what is asked about them.
    pub(crate) segmentation: Segmentation,
}

impl UnderTest for Campaigns {
    const NAME: ServiceName = ServiceName::Campaigns;
    const LOGS: &[ServiceName] = &[ServiceName::Customers, ServiceName::Interactions];
    const APIS: &[ServiceName] = &[ServiceName::Segmentation];
    type Client = Client;

    fn client(channel: Authorized) -> Client {
        CampaignsServiceClient::new(channel)
    }

    async fn serve(
        config: &Config,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<(), GroundError> {
        campaigns::serve(config, listener, shutdown).await
    }

    async fn surround(peers: &mut Peers) -> Self {
        let segmentation = Segmentation::default();
        let api = SegmentationServiceServer::new(segmentation.clone());
        let limits = peers.config().limits.clone();
        peers.serve_api(ServiceName::Segmentation, |server| {
            server.add_service(limited!(api, limits))
        });
        Self {
            customers: peers.serve_log(ServiceName::Customers).await,
            interactions: peers.serve_log(ServiceName::Interactions).await,
            segmentation,
        }
    }
}
