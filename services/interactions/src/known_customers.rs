//! Whether a customer exists: as the customers log has told, or else as the customers service says when it is asked.

use std::time::Duration;

use aggregate::{CustomerId, Partition, TenantId};
use contracts::customers::v1::{
    GetCustomerRequest, customers_service_client::CustomersServiceClient,
};
use moka::sync::Cache;
use service::Peer;
use sqlx::PgPool;
use tonic::{Code, Status};

/// Customers that are remembered to exist. About 150 bytes each.
const CACHED_MAX: u64 = 200_000;
/// How long: for so long something may still be recorded of somebody who was erased, as keys are remembered for as long.
const CACHED_LIFE: Duration = Duration::from_secs(30);

/// What is known of a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// There is such a customer.
    Yes,
    /// There was; everything personal is gone.
    Erased,
    /// The tenant has no such customer.
    No,
}

/// It could not be found out whether a customer exists.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookupError {
    /// Our own rows could not be read.
    #[error("the known customers cannot be read")]
    Database(#[from] sqlx::Error),
    /// The customers service does not answer.
    #[error("the customers service does not answer")]
    Unreachable(#[source] Box<Status>),
    /// The customers service does not answer such a question.
    #[error("the customers service refuses to tell")]
    Refused(#[source] Box<Status>),
}

/// The customers that are known to exist.
#[derive(Clone)]
pub(crate) struct KnownCustomers {
    pool: PgPool,
    service: Peer,
    // Only that somebody exists is remembered: who does not exist yet may do so in a moment.
    cache: Cache<(TenantId, CustomerId), ()>,
}

impl KnownCustomers {
    pub(crate) fn new(pool: PgPool, service: Peer) -> Self {
        Self {
            pool,
            service,
            cache: Cache::builder()
                .max_capacity(CACHED_MAX)
                .time_to_live(CACHED_LIFE)
                .build(),
        }
    }

    /// Whether the tenant has this customer. Our rows may lag behind the customers service, so that it is asked before the
    /// answer is no.
    pub(crate) async fn find(
        &self,
        tenant: &TenantId,
        customer: CustomerId,
    ) -> Result<Known, LookupError> {
        let key = (tenant.clone(), customer);
        if self.cache.get(&key).is_some() {
            return Ok(Known::Yes);
        }
        let known = match self.row(tenant, customer).await? {
            Some(known) => known,
            None => self.ask(tenant, customer).await?,
        };
        if known == Known::Yes {
            self.cache.insert(key, ());
        }
        Ok(known)
    }

    async fn row(
        &self,
        tenant: &TenantId,
        customer: CustomerId,
    ) -> Result<Option<Known>, sqlx::Error> {
        let erased: Option<bool> = sqlx::query_scalar(
            "select erased_at is not null from known_customer where partition = $1 and tenant = $2 and customer_id = $3",
        )
        .bind(i16::from(Partition::of_customer(tenant, customer).number()))
        .bind(tenant.as_str())
        .bind(customer.0)
        .fetch_optional(&self.pool)
        .await?;
        Ok(erased.map(|erased| if erased { Known::Erased } else { Known::Yes }))
    }

    async fn ask(&self, tenant: &TenantId, customer: CustomerId) -> Result<Known, LookupError> {
        let request = GetCustomerRequest {
            customer_id: customer.to_string(),
            as_of: None,
        };
        let mut client = CustomersServiceClient::new(self.service.for_tenant(tenant));
        match client.get_customer(request).await {
            Ok(answer) => {
                let found = answer.into_inner().customer.unwrap_or_default();
                Ok(match found.erasure {
                    Some(_) => Known::Erased,
                    None => Known::Yes,
                })
            }
            Err(status) if status.code() == Code::NotFound => Ok(Known::No),
            Err(status) => Err(match status.code() {
                Code::InvalidArgument
                | Code::Unauthenticated
                | Code::PermissionDenied
                | Code::Unimplemented
                | Code::Internal
                | Code::DataLoss
                | Code::AlreadyExists
                | Code::FailedPrecondition
                | Code::OutOfRange => LookupError::Refused(Box::new(status)),
                Code::Ok
                | Code::NotFound
                | Code::Cancelled
                | Code::Unknown
                | Code::DeadlineExceeded
                | Code::ResourceExhausted
                | Code::Aborted
                | Code::Unavailable => LookupError::Unreachable(Box::new(status)),
            }),
        }
    }
}
