//! Who was erased: ids and moments, nothing personal. It outlives the databases, so that no restore brings anybody back.

use std::{
    collections::BTreeMap,
    fs,
    io::{ErrorKind, Write as _},
    path::Path,
};

use aggregate::{CustomerId, Partition, TenantId};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use super::private_file;

/// Customers who were erased, each with the moment at which its key was first destroyed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Erased(BTreeMap<(TenantId, Uuid), OffsetDateTime>);

/// A line of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    tenant: String,
    customer_id: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    destroyed_at: OffsetDateTime,
}

impl Erased {
    /// Those whose key a database has destroyed; nobody where it has no log.
    pub(crate) async fn in_database(connection: &mut PgConnection) -> Result<Self> {
        let exists: bool =
            sqlx::query_scalar("select to_regclass('public.subject_key') is not null")
                .fetch_one(&mut *connection)
                .await?;
        let mut erased = Self::default();
        if !exists {
            return Ok(erased);
        }
        let rows: Vec<(String, Uuid, OffsetDateTime)> = sqlx::query_as(
            "select tenant, subject, destroyed_at from public.subject_key where destroyed_at is not null",
        )
        .fetch_all(connection)
        .await?;
        for (tenant, customer, at) in rows {
            erased.add(&tenant, customer, at)?;
        }
        Ok(erased)
    }

    /// Those of a file; nobody where there is none.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => {
                return Err(error).with_context(|| format!("reading {}", path.display()));
            }
        };
        let mut erased = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let place = || format!("{}, line {number}", path.display());
            let entry: Entry = serde_json::from_str(line).with_context(place)?;
            erased
                .add(&entry.tenant, entry.customer_id, entry.destroyed_at)
                .with_context(place)?;
        }
        Ok(erased)
    }

    fn add(&mut self, tenant: &str, customer: Uuid, at: OffsetDateTime) -> Result<()> {
        let tenant = TenantId::parse(tenant)?;
        let first = self.0.entry((tenant, customer)).or_insert(at);
        *first = at.min(*first);
        Ok(())
    }

    /// These and those.
    pub(crate) fn merge(&mut self, others: &Self) {
        for (who, at) in &others.0 {
            let first = self.0.entry(who.clone()).or_insert(*at);
            *first = (*at).min(*first);
        }
    }

    /// Replaces a file in one step.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let writing = || format!("writing {}", path.display());
        let mut next = path.to_owned().into_os_string();
        next.push(".next");
        let next = Path::new(&next);
        if next.exists() {
            // Left by one that was killed.
            fs::remove_file(next).with_context(writing)?;
        }
        let mut file = private_file(next).with_context(writing)?;
        for ((tenant, customer_id), destroyed_at) in &self.0 {
            let entry = Entry {
                tenant: tenant.as_str().to_owned(),
                customer_id: *customer_id,
                destroyed_at: *destroyed_at,
            };
            let line = serde_json::to_string(&entry)?;
            writeln!(file, "{line}").with_context(writing)?;
        }
        file.sync_all()
            .and_then(|()| fs::rename(next, path))
            .with_context(writing)
    }

    /// Tenant, customer and moment of each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&TenantId, Uuid, OffsetDateTime)> {
        let all = self.0.iter();
        all.map(|((tenant, customer), at)| (tenant, *customer, *at))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// As rows of `copy`: partition, tenant, customer and moment.
    pub(crate) fn copy_rows(&self) -> Result<String> {
        let mut rows = String::new();
        for (tenant, customer, at) in self.iter() {
            let partition = Partition::of_customer(tenant, CustomerId(customer)).number();
            let at = at.format(&Rfc3339)?;
            rows.push_str(&format!(
                "{partition}\t{}\t{customer}\t{at}\n",
                tenant.as_str()
            ));
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_file_keeps_everybody_and_the_first_moment() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("erased.jsonl");
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (early, late) = (
            datetime!(2026-01-01 0:00 UTC),
            datetime!(2026-02-01 0:00 UTC),
        );
        let mut erased = Erased::read(&path).unwrap();
        assert_eq!(erased, Erased::default());
        erased.add("demo", one, late).unwrap();
        erased.write(&path).unwrap();
        let mut more = Erased::default();
        more.add("demo", one, early).unwrap();
        more.add("acme", other, late).unwrap();
        more.merge(&Erased::read(&path).unwrap());
        more.write(&path).unwrap();
        let read = Erased::read(&path).unwrap();
        let all: Vec<_> = read.iter().map(|(_, who, at)| (who, at)).collect();
        assert_eq!(all, [(other, late), (one, early)]);

        fs::write(&path, "{\"tenant\":\"demo\"}\n").unwrap();
        let error = format!("{:#}", Erased::read(&path).unwrap_err());
        assert!(error.contains("erased.jsonl, line 1"), "{error}");
    }
}
