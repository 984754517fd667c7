//! The gRPC API: requests to commands, state to answers, and every refusal as a precise status.

mod import;
mod message;
mod parse;
mod read;
mod record;

use std::{pin::Pin, time::Duration};

use aggregate::{CustomerId, TenantId};
use contracts::interactions::v1::{
    GetPurchaseRequest, GetPurchaseResponse, ImportPurchasesRequest, ImportPurchasesResponse,
    ListTimelineRequest, ListTimelineResponse, RecordPurchaseRequest, RecordPurchaseResponse,
    RecordTouchpointRequest, RecordTouchpointResponse,
    interactions_service_server::InteractionsService,
};
use event_log::EventLog;
use futures::Stream;
use service::{Caller, command, config::Limits, status};
use tonic::{Request, Response, Status, Streaming};

use crate::known_customers::{Known, KnownCustomers, LookupError};

const READ: &str = "interactions.read";
const WRITE: &str = "interactions.write";

/// When a caller may try again after the customers service did not answer.
const CUSTOMERS_RETRY_DELAY: Duration = Duration::from_millis(500);

/// The service's answers.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) log: EventLog,
    pub(crate) customers: KnownCustomers,
    pub(crate) limits: Limits,
}

impl Api {
    /// Passes if the tenant has this customer.
    async fn require_customer(
        &self,
        tenant: &TenantId,
        customer: CustomerId,
    ) -> Result<(), Status> {
        let (reason, message) = match self.known(tenant, customer).await? {
            Known::Yes => return Ok(()),
            Known::No => (
                "UNKNOWN_CUSTOMER",
                format!("there is no customer {customer}"),
            ),
            Known::Erased => (
                "CUSTOMER_ERASED",
                "the customer was erased; nothing is recorded any more".to_owned(),
            ),
        };
        let subject = format!("customer/{customer}");
        Err(status::failed_precondition(reason, &subject, &message))
    }

    async fn known(&self, tenant: &TenantId, customer: CustomerId) -> Result<Known, Status> {
        self.customers
            .find(tenant, customer)
            .await
            .map_err(|error| match error {
                LookupError::Database(error) => command::database(error),
                LookupError::Unreachable(_) => {
                    tracing::warn!(
                        error = status::chain(&error),
                        "the customers service is not available"
                    );
                    let message = "it cannot be found out just now whether the customer exists";
                    status::unavailable("CUSTOMERS_UNAVAILABLE", message, CUSTOMERS_RETRY_DELAY)
                }
                LookupError::Refused(_) => status::internal(&error),
            })
    }
}

#[tonic::async_trait]
impl InteractionsService for Api {
    type ImportPurchasesStream =
        Pin<Box<dyn Stream<Item = Result<ImportPurchasesResponse, Status>> + Send>>;

    async fn record_touchpoint(
        &self,
        request: Request<RecordTouchpointRequest>,
    ) -> Result<Response<RecordTouchpointResponse>, Status> {
        let caller = Caller::of(&request, WRITE)?;
        let touchpoint = request.into_inner().touchpoint;
        self.touchpoint(&caller, touchpoint)
            .await
            .map(Response::new)
    }

    async fn record_purchase(
        &self,
        request: Request<RecordPurchaseRequest>,
    ) -> Result<Response<RecordPurchaseResponse>, Status> {
        let caller = Caller::of(&request, WRITE)?;
        let purchase = request.into_inner().purchase;
        self.purchase(&caller, purchase).await.map(Response::new)
    }

    async fn import_purchases(
        &self,
        request: Request<Streaming<ImportPurchasesRequest>>,
    ) -> Result<Response<Self::ImportPurchasesStream>, Status> {
        let caller = Caller::of(&request, WRITE)?;
        let answers = self.clone().import(caller, request.into_inner());
        Ok(Response::new(Box::pin(answers)))
    }

    async fn get_purchase(
        &self,
        request: Request<GetPurchaseRequest>,
    ) -> Result<Response<GetPurchaseResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.purchase_by_id(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn list_timeline(
        &self,
        request: Request<ListTimelineRequest>,
    ) -> Result<Response<ListTimelineResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.timeline(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }
}
