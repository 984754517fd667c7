//! The tables of a service: those of its log, then its own. Either a service brings them up to date when it starts, or an
//! operator has done so before.

use event_log::LogError;
use sqlx::{PgPool, migrate::Migrator, postgres::PgPoolOptions};

use crate::{
    config::{Config, SecretUrl, ServiceName},
    ground::GroundError,
};

/// Applies what is not applied yet, `own` being the service's own migrations. Whoever comes while another is at it waits, and finds
/// nothing left. No statement has a time limit here.
///
/// # Errors
/// When the database does not answer, or a migration fails; those before it stay applied.
pub async fn migrate(name: ServiceName, config: &Config, own: Migrator) -> Result<(), GroundError> {
    migrate_at(config.database.url.of(name), own).await
}

pub(crate) async fn migrate_at(url: &SecretUrl, own: Migrator) -> Result<(), GroundError> {
    let pool = connect(url).await?;
    for mut migrator in [event_log::migrations(), own] {
        // Both share the table that records what was applied.
        migrator.set_ignore_missing(true);
        migrator.run(&pool).await?;
    }
    pool.close().await;
    Ok(())
}

/// Passes where nothing is left to apply. Migrations of a later version are no obstacle: an older program works on, beside a newer one.
pub(crate) async fn require_migrated(
    name: ServiceName,
    config: &Config,
    own: &Migrator,
) -> Result<(), GroundError> {
    let by = format!("vefa migrate {name}");
    require_migrated_at(name.as_str(), config.database.url.of(name), own, by).await
}

pub(crate) async fn require_migrated_at(
    name: &'static str,
    url: &SecretUrl,
    own: &Migrator,
    by: String,
) -> Result<(), GroundError> {
    let pool = connect(url).await?;
    let applied = applied(&pool).await?;
    pool.close().await;
    let log = event_log::migrations();
    let needed = log.iter().chain(own.iter()).map(|one| one.version);
    let missing: Vec<i64> = needed.filter(|one| !applied.contains(one)).collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(GroundError::NotMigrated { name, by, missing })
    }
}

/// One connection, without the time limits of a service's.
async fn connect(url: &SecretUrl) -> Result<PgPool, LogError> {
    let options = PgPoolOptions::new().max_connections(1);
    Ok(options.connect(url.expose()).await?)
}

/// The versions that are applied, in a database that may be empty.
async fn applied(pool: &PgPool) -> Result<Vec<i64>, LogError> {
    let exists: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null")
        .fetch_one(pool)
        .await?;
    if !exists {
        return Ok(Vec::new());
    }
    Ok(
        sqlx::query_scalar("select version from _sqlx_migrations where success")
            .fetch_all(pool)
            .await?,
    )
}
