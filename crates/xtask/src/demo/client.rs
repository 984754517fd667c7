//! Clients of the four services, with the demo's token in every call.

use anyhow::Context;
use contracts::campaigns::v1::campaigns_service_client::CampaignsServiceClient;
use contracts::common::v1::log_service_client::LogServiceClient;
use contracts::common::v1::{GetHeadsRequest, GetProgressRequest};
use contracts::customers::v1::customers_service_client::CustomersServiceClient;
use contracts::interactions::v1::interactions_service_client::InteractionsServiceClient;
use contracts::segmentation::v1::segmentation_service_client::SegmentationServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::service::{PerService, Service};
use super::stack::Stack;

pub(crate) type Wire = InterceptedService<Channel, Bearer>;

/// Puts the token into a call, if there is one.
#[derive(Debug, Clone)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = self.0.clone() {
            request.metadata_mut().insert("authorization", token);
        }
        Ok(request)
    }
}

/// A client of each service; clones share its connection.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) customers: CustomersServiceClient<Wire>,
    pub(crate) interactions: InteractionsServiceClient<Wire>,
    pub(crate) segmentation: SegmentationServiceClient<Wire>,
    pub(crate) campaigns: CampaignsServiceClient<Wire>,
    pub(crate) logs: PerService<LogServiceClient<Wire>>,
}

/// How far a log has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heads {
    /// Events in it: positions have no gaps, so this is the sum of the last ones.
    pub(crate) events: u64,
    /// Makes a read wait until it shows all of them.
    pub(crate) token: String,
}

impl Clients {
    /// Connects on first use.
    pub(crate) fn new(stack: &Stack) -> anyhow::Result<Self> {
        Self::with_token(stack, Some(&stack.token))
    }

    /// The same with another token, or with none.
    pub(crate) fn with_token(stack: &Stack, token: Option<&str>) -> anyhow::Result<Self> {
        Self::at(&stack.addresses, token)
    }

    /// The same at addresses of one's own choice.
    pub(crate) fn at(addresses: &PerService<String>, token: Option<&str>) -> anyhow::Result<Self> {
        let bearer = Bearer(token.map(header).transpose()?);
        let wires = PerService::try_new(|service| {
            let address = addresses.of(service);
            let endpoint = Endpoint::from_shared(format!("http://{address}"))
                .with_context(|| format!("the address {address}"))?
                .tcp_nodelay(true);
            anyhow::Ok(InterceptedService::new(
                endpoint.connect_lazy(),
                bearer.clone(),
            ))
        })?;
        let wire = |service| wires.of(service).clone();
        Ok(Self {
            customers: CustomersServiceClient::new(wire(Service::Customers)),
            interactions: InteractionsServiceClient::new(wire(Service::Interactions)),
            segmentation: SegmentationServiceClient::new(wire(Service::Segmentation)),
            campaigns: CampaignsServiceClient::new(wire(Service::Campaigns)),
            logs: PerService::try_new(|service| anyhow::Ok(LogServiceClient::new(wire(service))))?,
        })
    }

    /// How far the log of a service has come.
    pub(crate) async fn heads(&self, service: Service) -> anyhow::Result<Heads> {
        let answer = self
            .logs
            .of(service)
            .clone()
            .get_heads(GetHeadsRequest {})
            .await
            .with_context(|| format!("asking for the heads of {}", service.name()))?
            .into_inner();
        Ok(Heads {
            events: answer.heads.iter().map(|head| head.position).sum(),
            token: answer.consistency_token,
        })
    }

    /// How many events each reader of a service, of its own log or of another's, has applied.
    pub(crate) async fn progress(&self, service: Service) -> anyhow::Result<Vec<(String, u64)>> {
        let answer = self
            .logs
            .of(service)
            .clone()
            .get_progress(GetProgressRequest {})
            .await
            .with_context(|| format!("asking for the progress of {}", service.name()))?
            .into_inner();
        let progress = answer.progress.into_iter();
        Ok(progress.map(|one| (one.projection, one.applied)).collect())
    }

    /// A token for all that customers and interactions hold now.
    pub(crate) async fn facts_token(&self) -> anyhow::Result<String> {
        let customers = self.heads(Service::Customers).await?.token;
        let interactions = self.heads(Service::Interactions).await?.token;
        Ok(format!("{customers} {interactions}"))
    }
}

fn header(token: &str) -> anyhow::Result<MetadataValue<Ascii>> {
    let mut header: MetadataValue<Ascii> = format!("Bearer {token}")
        .parse()
        .context("the token does not fit into a header")?;
    header.set_sensitive(true);
    Ok(header)
}
