//! Which endpoints there are, and what of them is kept for ever.

use sqlx::PgPool;
use time::OffsetDateTime;

use crate::{
    WebhooksError,
    endpoint::{Endpoint, From},
};

/// An endpoint's name belongs to another tenant.
#[derive(Debug, thiserror::Error)]
#[error(
    "webhooks.endpoints {endpoint:?}: it was told the events of {was}, and what waits is theirs; give the endpoint of {now} another name"
)]
pub struct OtherTenant {
    /// The endpoint.
    pub endpoint: &'static str,
    /// The tenant that it was told of.
    pub was: String,
    /// The tenant that is configured.
    pub now: String,
}

/// Writes down an endpoint that is new. From when on it is told events: what was said when it was new.
pub(crate) async fn register(
    pool: &PgPool,
    endpoint: &Endpoint,
) -> Result<Option<OffsetDateTime>, WebhooksError> {
    let (from_now, moment) = match endpoint.from {
        From::Start => (false, None),
        From::Now => (true, None),
        From::Moment(moment) => (false, Some(moment)),
    };
    let mut transaction = pool.begin().await?;
    sqlx::query(
        "insert into webhook_endpoint (name, tenant, since) values ($1, $2, case when $3 then now() else $4 end)
         on conflict do nothing",
    )
    .bind(endpoint.name)
    .bind(endpoint.tenant.as_str())
    .bind(from_now)
    .bind(moment)
    .execute(&mut *transaction)
    .await?;
    let (tenant, since): (String, Option<OffsetDateTime>) =
        sqlx::query_as("select tenant, since from webhook_endpoint where name = $1")
            .bind(endpoint.name)
            .fetch_one(&mut *transaction)
            .await?;
    transaction.commit().await?;
    if tenant == endpoint.tenant.as_str() {
        Ok(since)
    } else {
        Err(OtherTenant {
            endpoint: endpoint.name,
            was: tenant,
            now: endpoint.tenant.as_str().to_owned(),
        }
        .into())
    }
}
