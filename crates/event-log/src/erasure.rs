//! Erasure: with the data key of a subject goes, wherever it is, what the key had sealed; and a receipt says so.
//!
//! The key is destroyed in the transaction that appends the event of the erasure or that applies it, so that there is never one without the
//! other. A key that is destroyed leaves a tombstone and is not made anew, also where the subject never had one.

use aggregate::{CustomerId, Partition, TenantId};
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{EventLog, broken, error::LogError, event::Append};

/// What the receipt calls the data key.
const DATA_KEY: &str = "data_key";
/// What the receipt calls the state that was kept of the subject's stream.
const SNAPSHOT: &str = "snapshot";

/// Somebody of whom everything personal is to go.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// Tenant.
    pub tenant: TenantId,
    /// The customer.
    pub customer: CustomerId,
}

impl Subject {
    fn partition(&self) -> Partition {
        Partition::of_customer(&self.tenant, self.customer)
    }
}

/// What was destroyed of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wiped {
    /// `data_key`, or the name of a table.
    pub what: String,
    /// How many there were: 0 when nothing was kept there of the subject.
    pub rows: u64,
    /// When.
    pub wiped_at: OffsetDateTime,
}

/// Partitions, tenants and ids, as the parameters of a statement.
type Columns<'a> = (Vec<i16>, Vec<&'a str>, Vec<Uuid>);

fn columns(subjects: &[Subject]) -> Columns<'_> {
    let mut columns = Columns::default();
    for subject in subjects {
        columns.0.push(subject.partition().number().into());
        columns.1.push(subject.tenant.as_str());
        columns.2.push(subject.customer.0);
    }
    columns
}

/// Destroys the data keys of these subjects within the caller's transaction, and notes it for the receipt. A
/// second time changes nothing. Who has a key in memory forgets it within half a minute.
///
/// # Errors
/// When the database fails.
pub async fn erase(connection: &mut PgConnection, subjects: &[Subject]) -> Result<(), sqlx::Error> {
    if subjects.is_empty() {
        return Ok(());
    }
    let destroy = "insert into subject_key (partition, tenant, subject, destroyed_at)
         select distinct partition, tenant, subject, now()
         from unnest($1::smallint[], $2::text[], $3::uuid[]) as t (partition, tenant, subject)
         on conflict (partition, tenant, subject) do update set wrapped_key = null, destroyed_at = excluded.destroyed_at
            where subject_key.wrapped_key is not null";
    note(connection, subjects, DATA_KEY, COUNT_KEYS.to_owned()).await?;
    let delete_snapshots = delete_rows(SNAPSHOT, "stream_id");
    note(connection, subjects, SNAPSHOT, delete_snapshots).await?;
    if broken::erasure() {
        return Ok(());
    }
    let (partitions, tenants, ids) = columns(subjects);
    sqlx::query(destroy)
        .bind(partitions)
        .bind(tenants)
        .bind(ids)
        .execute(connection)
        .await?;
    Ok(())
}

const COUNT_KEYS: &str = "with subject as (
        select * from unnest($1::smallint[], $2::text[], $3::uuid[]) as t (partition, tenant, subject)
     )
     insert into wiped (partition, tenant, subject, what, rows, wiped_at)
     select t.partition, t.tenant, t.subject, $4, count(k.wrapped_key), now()
     from subject t left join subject_key k using (partition, tenant, subject)
     group by t.partition, t.tenant, t.subject
     on conflict do nothing";

/// Deletes the rows of a table that are about the subjects, who stand in `column` of it, and notes how many went of each.
fn delete_rows(table: &'static str, column: &'static str) -> String {
    format!(
        "with subject as (
            select * from unnest($1::smallint[], $2::text[], $3::uuid[]) as t (partition, tenant, subject)
         ), gone as (
            delete from {table} r using subject t
            where r.partition = t.partition and r.tenant = t.tenant and r.{column} = t.subject
            returning t.partition, t.tenant, t.subject
         )
         insert into wiped (partition, tenant, subject, what, rows, wiped_at)
         select t.partition, t.tenant, t.subject, $4, count(g.subject), now()
         from subject t left join gone g using (partition, tenant, subject)
         group by t.partition, t.tenant, t.subject
         on conflict do nothing"
    )
}

/// Deletes what these tables hold of these subjects (by partition, tenant and `customer_id`) within the caller's transaction, and notes for
/// the receipt how many rows of each went. What was noted first stands.
///
/// # Errors
/// When the database fails.
pub async fn wipe(
    connection: &mut PgConnection,
    tables: &[&'static str],
    subjects: &[Subject],
) -> Result<(), sqlx::Error> {
    if subjects.is_empty() {
        return Ok(());
    }
    for table in tables {
        let statement = delete_rows(table, "customer_id");
        note(connection, subjects, table, statement).await?;
    }
    Ok(())
}

/// Runs a statement that counts something of each subject and notes it.
async fn note(
    connection: &mut PgConnection,
    subjects: &[Subject],
    what: &str,
    statement: String,
) -> Result<(), sqlx::Error> {
    let (partitions, tenants, ids) = columns(subjects);
    // Names of tables and columns are constants of ours.
    sqlx::query(AssertSqlSafe(statement))
        .bind(partitions)
        .bind(tenants)
        .bind(ids)
        .bind(what)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes for the receipt how many rows of a table went with each of these subjects. What was noted first stands.
///
/// # Errors
/// When the database fails.
pub async fn note_wiped(
    connection: &mut PgConnection,
    table: &str,
    rows: &[(Subject, u64)],
) -> Result<(), sqlx::Error> {
    let (subjects, counts): (Vec<Subject>, Vec<i64>) = rows
        .iter()
        .map(|(subject, count)| (subject.clone(), i64::try_from(*count).unwrap_or(i64::MAX)))
        .unzip();
    let (partitions, tenants, ids) = columns(&subjects);
    sqlx::query(
        "insert into wiped (partition, tenant, subject, what, rows, wiped_at)
         select partition, tenant, subject, $5, rows, now()
         from unnest($1::smallint[], $2::text[], $3::uuid[], $4::bigint[]) as t (partition, tenant, subject, rows)
         on conflict do nothing",
    )
    .bind(partitions)
    .bind(tenants)
    .bind(ids)
    .bind(counts)
    .bind(table)
    .execute(connection)
    .await?;
    Ok(())
}

/// Those whom these appends erase.
pub(crate) fn erased_by<'a>(appends: impl IntoIterator<Item = &'a Append>) -> Vec<Subject> {
    let subject_of = |append: &'a Append| {
        append.stream.subject.map(|customer| Subject {
            tenant: append.stream.tenant.clone(),
            customer,
        })
    };
    appends
        .into_iter()
        .filter(|append| append.erases)
        .filter_map(subject_of)
        .collect()
}

impl EventLog {
    /// What was destroyed here of a subject, by name; nothing of one who was not erased.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn wiped(&self, subject: &Subject) -> Result<Vec<Wiped>, LogError> {
        Ok(wiped(self.pool(), subject).await?)
    }
}

async fn wiped(
    executor: impl PgExecutor<'_>,
    subject: &Subject,
) -> Result<Vec<Wiped>, sqlx::Error> {
    let rows: Vec<(String, i64, OffsetDateTime)> = sqlx::query_as(
        "select what, rows, wiped_at from wiped where partition = $1 and tenant = $2 and subject = $3 order by what",
    )
    .bind(i16::from(subject.partition().number()))
    .bind(subject.tenant.as_str())
    .bind(subject.customer.0)
    .fetch_all(executor)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(what, rows, wiped_at)| Wiped {
            what,
            rows: rows.unsigned_abs(),
            wiped_at,
        })
        .collect())
}
