//! Data keys that are wrapped anew, after the master key was replaced.

use aggregate::TenantId;
use sqlx::PgPool;
use uuid::Uuid;

use super::{KeyError, KeyService, context};

/// Keys in one statement.
const BATCH: i64 = 1000;

/// What became of a log's data keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// All keys that were looked at; those that were destroyed are none.
    pub keys: u64,
    /// Those that were not wrapped under the present master key.
    pub outdated: u64,
}

/// The place of a key, and the key.
type Row = (i16, String, Uuid, Vec<u8>);

/// Wraps every data key of a log that is not wrapped under the present master key anew, beside the running services; or only counts them. What a key seals
/// stays as it is. A key that is destroyed meanwhile stays destroyed.
///
/// # Errors
/// When the database or the key service fails, also where a key does not unwrap. What was done until then is done.
pub async fn rewrap_keys(
    pool: &PgPool,
    service: &dyn KeyService,
    count_only: bool,
) -> Result<Rewrapped, KeyError> {
    let mut done = Rewrapped::default();
    let mut after: (i16, String, Uuid) = (-1, String::new(), Uuid::nil());
    loop {
        let rows = page(pool, &after).await?;
        let Some((partition, tenant, subject, _)) = rows.last() else {
            return Ok(done);
        };
        after = (*partition, tenant.clone(), *subject);
        done.keys += rows.len() as u64;
        let mut anew = Vec::new();
        for row in rows {
            let (_, tenant, subject, wrapped) = &row;
            let tenant =
                TenantId::parse(tenant).map_err(|error| sqlx::Error::Decode(error.into()))?;
            if let Some(new) = service.rewrap(wrapped, &context(&tenant, *subject)).await? {
                anew.push((row, new));
            }
        }
        done.outdated += anew.len() as u64;
        if !count_only {
            replace(pool, anew).await?;
        }
    }
}

async fn page(pool: &PgPool, after: &(i16, String, Uuid)) -> Result<Vec<Row>, sqlx::Error> {
    let (partition, tenant, subject) = after;
    sqlx::query_as(
        "select partition, tenant, subject, wrapped_key from subject_key
         where (partition, tenant, subject) > ($1, $2, $3) and wrapped_key is not null
         order by partition, tenant, subject limit $4",
    )
    .bind(partition)
    .bind(tenant)
    .bind(subject)
    .bind(BATCH)
    .fetch_all(pool)
    .await
}

/// Each where it is still what was read, so that one which was destroyed does not come back.
async fn replace(pool: &PgPool, anew: Vec<(Row, Vec<u8>)>) -> Result<(), sqlx::Error> {
    let (mut partitions, mut tenants, mut subjects) = (Vec::new(), Vec::new(), Vec::new());
    let (mut befores, mut afters) = (Vec::new(), Vec::new());
    for ((partition, tenant, subject, before), new) in anew {
        partitions.push(partition);
        tenants.push(tenant);
        subjects.push(subject);
        befores.push(before);
        afters.push(new);
    }
    sqlx::query(
        "update subject_key k set wrapped_key = anew.wrapped_key
         from unnest($1::smallint[], $2::text[], $3::uuid[], $4::bytea[], $5::bytea[])
            as anew (partition, tenant, subject, before, wrapped_key)
         where k.partition = anew.partition and k.tenant = anew.tenant and k.subject = anew.subject and k.wrapped_key = anew.before",
    )
    .bind(partitions)
    .bind(tenants)
    .bind(subjects)
    .bind(befores)
    .bind(afters)
    .execute(pool)
    .await?;
    Ok(())
}
