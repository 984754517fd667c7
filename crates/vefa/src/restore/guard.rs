//! Whether a database may be replaced: nobody works on it, and nothing is in it unless that was said to be no matter.

use anyhow::{Result, bail};
use service::{Config, ServiceName};
use sqlx::PgConnection;
use time::OffsetDateTime;

/// What the services call themselves to PostgreSQL, and so do the tools that work beside them.
const APPLICATION: &str = "vefa";

pub(super) async fn may_be_replaced(
    config: &Config,
    service: ServiceName,
    replace: bool,
) -> Result<()> {
    let mut connection = super::connect(config, service).await?;
    let connected: i64 = sqlx::query_scalar(
        "select count(*) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid() and application_name = $1",
    )
    .bind(APPLICATION)
    .fetch_one(&mut connection)
    .await?;
    if connected > 0 {
        bail!("{connected} connections of Vefa are open: stop the services");
    }
    let tables: i64 = sqlx::query_scalar(
        "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p', 'v', 'm') and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'",
    )
    .fetch_one(&mut connection)
    .await?;
    if tables == 0 {
        return Ok(());
    }
    if !replace {
        bail!(
            "it is not empty; with --replace the backup takes its place, and what is in it now is lost"
        );
    }
    leases(&mut connection).await
}

/// A process that was killed, or that PostgreSQL cannot see just now, has its leases still.
async fn leases(connection: &mut PgConnection) -> Result<()> {
    let exists: bool = sqlx::query_scalar("select to_regclass('public.checkpoint') is not null")
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        return Ok(());
    }
    let held: Option<(String, OffsetDateTime)> = sqlx::query_as(
        "select projection, lease_until from public.checkpoint
         where owner is not null and lease_until > now() order by lease_until desc limit 1",
    )
    .fetch_optional(connection)
    .await?;
    match held {
        None => Ok(()),
        Some((projection, until)) => bail!(
            "somebody has the lease of {projection} until {}: stop the services, and wait until then",
            until.replace_nanosecond(0)?
        ),
    }
}
