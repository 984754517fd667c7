//! The four services, as an export asks them.

use std::time::Duration;

use aggregate::{CustomerId, TenantId};
use anyhow::{Context as _, Result};
use contracts::{
    common::v1::{
        ExportSubjectRequest, ExportSubjectResponse, log_service_client::LogServiceClient,
    },
    customers::v1::{
        Customer, GetCustomerRequest, customers_service_client::CustomersServiceClient,
    },
    segmentation::v1::{
        GetCustomerValueRequest, GetCustomerValueResponse,
        segmentation_service_client::SegmentationServiceClient,
    },
};
use futures::TryStreamExt as _;
use service::{Config, Principal, ServiceName, client};
use tonic::{Code, service::interceptor::InterceptedService, transport::Channel};

use crate::headers::Headers;

/// How long the token is good.
const TOKEN_LIFETIME: Duration = Duration::from_secs(60 * 60);
const SCOPES: [&str; 6] = [
    "customers.read",
    "segmentation.read",
    "customers.export",
    "interactions.export",
    "segmentation.export",
    "campaigns.export",
];

type Wire = InterceptedService<Channel, Headers>;

/// A connection to each service.
pub(super) struct Services {
    tenant: TenantId,
    wires: Vec<(ServiceName, Wire)>,
}

impl Services {
    /// Connects at the first call. It must be called inside a runtime.
    ///
    /// # Errors
    /// When the configuration has no secret to sign a token with, or an address that is none.
    pub(super) fn connect(config: &Config, tenant: &TenantId, actor: &str) -> Result<Self> {
        let principal = Principal::new(tenant.clone(), actor, &SCOPES);
        let headers = Headers::new(config, &principal, TOKEN_LIFETIME, "subject-export")?;
        let wire = |name| {
            let channel = client::channel(config, name, "vefa-subject")?;
            Ok((name, InterceptedService::new(channel, headers.clone())))
        };
        Ok(Self {
            tenant: tenant.clone(),
            wires: ServiceName::ALL
                .into_iter()
                .map(wire)
                .collect::<Result<_>>()?,
        })
    }

    pub(super) fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    fn wire(&self, name: ServiceName) -> Result<Wire> {
        let mut wires = self.wires.iter();
        let found = wires.find(|(known, _)| *known == name);
        Ok(found.context("every service has a connection")?.1.clone())
    }

    /// The customer as it is, or who goes on for it.
    pub(super) async fn customer(&self, id: CustomerId) -> Result<Customer> {
        let mut client = CustomersServiceClient::new(self.wire(ServiceName::Customers)?);
        let request = GetCustomerRequest {
            customer_id: id.to_string(),
            ..GetCustomerRequest::default()
        };
        let answer = client.get_customer(request).await;
        let answer = answer.map_err(told).context("asking customers")?;
        answer
            .into_inner()
            .customer
            .context("customers answered with nobody")
    }

    /// What segmentation computed; none of somebody of whom it computed nothing.
    pub(super) async fn value(&self, id: CustomerId) -> Result<Option<GetCustomerValueResponse>> {
        let mut client = SegmentationServiceClient::new(self.wire(ServiceName::Segmentation)?);
        let request = GetCustomerValueRequest {
            customer_id: id.to_string(),
            ..GetCustomerValueRequest::default()
        };
        match client.get_customer_value(request).await {
            Ok(answer) => Ok(Some(answer.into_inner())),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(told(status)).context("asking segmentation"),
        }
    }

    /// All events of a service that are about somebody.
    pub(super) async fn events(
        &self,
        name: ServiceName,
        id: CustomerId,
    ) -> Result<Vec<ExportSubjectResponse>> {
        let asking = || format!("asking {name}");
        let mut client = LogServiceClient::new(self.wire(name)?);
        let request = ExportSubjectRequest {
            customer_id: id.to_string(),
        };
        let answers = client.export_subject(request).await;
        let answers = answers.map_err(told).with_context(asking)?.into_inner();
        let answers: Result<Vec<_>, _> = answers.try_collect().await;
        answers.map_err(told).with_context(asking)
    }
}

/// What a status says, without what stands in its headers.
fn told(status: tonic::Status) -> anyhow::Error {
    anyhow::anyhow!("{}: {}", status.code(), status.message())
}
