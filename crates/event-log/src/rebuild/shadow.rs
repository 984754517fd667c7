//! The schema in which a rebuild works: copies of the projection's tables, and checkpoints of its own. Statements that name no schema
//! find them first.
//!
//! The tables are copied from those that the migrations made, so that there is no second definition of them. On a sharded PostgreSQL
//! the copies would have to be distributed like them.

use std::collections::BTreeMap;

use aggregate::Partition;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use super::{RebuildError, checkpoints_in};
use crate::{
    checkpoint::{Checkpoint, Checkpoints},
    projection::{Projection, Table},
};

/// A schema for one rebuild, and what stands where.
pub(super) struct Shadow {
    pub(super) projection: &'static str,
    pub(super) version: i32,
    pub(super) tables: &'static [Table],
    /// The shadow schema, quoted.
    pub(super) schema: String,
    /// The schema of the live tables, quoted.
    pub(super) live: String,
}

/// A rebuild that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Events that it has applied.
    pub applied: i64,
    /// Whether it has given a sign of life lately; otherwise it was killed.
    pub alive: bool,
}

fn schema_of(projection: &str, version: i32) -> String {
    format!("rebuild_{}_{version}", projection.replace('.', "_"))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

async fn exists(connection: &mut PgConnection, schema: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select exists (select from pg_namespace where nspname = $1)")
        .bind(schema)
        .fetch_one(connection)
        .await
}

/// How a rebuild of a projection stands, if there is one.
///
/// # Errors
/// When the database fails.
pub async fn standing(
    connection: &mut PgConnection,
    projection: &str,
    version: i32,
) -> Result<Option<Standing>, sqlx::Error> {
    let schema = schema_of(projection, version);
    if !exists(connection, &schema).await? {
        return Ok(None);
    }
    let statement = format!(
        "select coalesce(sum(position), 0)::bigint, coalesce(bool_or(lease_until > now()), false) from {}.checkpoint",
        quoted(&schema)
    );
    let (applied, alive) = sqlx::query_as(AssertSqlSafe(statement))
        .fetch_one(connection)
        .await?;
    Ok(Some(Standing { applied, alive }))
}

impl Shadow {
    pub(super) async fn of(
        live: &PgPool,
        projection: &impl Projection,
    ) -> Result<Self, RebuildError> {
        let name = projection.name();
        let tables = projection.tables();
        if tables.is_empty() {
            return Err(RebuildError::NotRebuildable { projection: name });
        }
        let current: String = sqlx::query_scalar("select current_schema()::text")
            .fetch_one(live)
            .await?;
        Ok(Self {
            projection: name,
            version: projection.version(),
            tables,
            schema: quoted(&schema_of(name, projection.version())),
            live: quoted(&current),
        })
    }

    pub(super) fn search_path(&self) -> String {
        format!("{},{}", self.schema, self.live)
    }

    /// Makes the schema and takes the lease on its checkpoints, which is what says that the rebuild is alive.
    pub(super) async fn create(
        &self,
        live: &PgPool,
        checkpoints: &Checkpoints,
    ) -> Result<BTreeMap<Partition, Checkpoint>, RebuildError> {
        let mut transaction = live.begin().await?;
        if let Some(other) = standing(&mut transaction, self.projection, self.version).await? {
            if other.alive {
                return Err(RebuildError::UnderWay {
                    projection: self.projection,
                });
            }
            self.drop_in(&mut transaction).await?;
        }
        let (schema, live) = (&self.schema, &self.live);
        run(&mut transaction, format!("create schema {schema}")).await?;
        let names = self.tables.iter().map(|table| table.name);
        for name in names.chain(["checkpoint"]) {
            let create = format!("create table {schema}.{name} (like {live}.{name} including all)");
            run(&mut transaction, create).await?;
        }
        let search_path = format!("set local search_path to {}", self.search_path());
        run(&mut transaction, search_path).await?;
        let held = checkpoints.acquire_in(&mut transaction).await?;
        transaction.commit().await?;
        Ok(held)
    }

    /// How far the live projection has come.
    pub(super) async fn targets(
        &self,
        connection: &mut PgConnection,
    ) -> Result<BTreeMap<Partition, Checkpoint>, sqlx::Error> {
        let statement = format!(
            "select partition, position, source_epoch, source_sequence from {}.checkpoint
             where projection = $1 and version = $2",
            self.live
        );
        checkpoints_in(connection, statement, self.projection, self.version).await
    }

    pub(super) async fn drop_in(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        run(
            connection,
            format!("drop schema if exists {} cascade", self.schema),
        )
        .await
    }

    /// The columns of a table: those of its primary key, and all that follow from events.
    pub(super) async fn columns(
        &self,
        connection: &mut PgConnection,
        table: &Table,
    ) -> Result<Columns, sqlx::Error> {
        let rows: Vec<(String, bool)> = sqlx::query_as(
            "select a.attname::text, coalesce(a.attnum = any(i.indkey), false)
             from pg_attribute a
             left join pg_index i on i.indrelid = a.attrelid and i.indisprimary
             where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped
             order by a.attnum",
        )
        .bind(format!("{}.{}", self.live, table.name))
        .fetch_all(connection)
        .await?;
        let key = rows.iter().filter(|(_, is_key)| *is_key);
        let derived = rows
            .iter()
            .filter(|(name, _)| !table.aside.contains(&name.as_str()));
        Ok(Columns {
            key: key.map(|(name, _)| quoted(name)).collect(),
            derived: derived.map(|(name, _)| quoted(name)).collect(),
        })
    }
}

/// Columns of a table, quoted.
pub(super) struct Columns {
    pub(super) key: Vec<String>,
    pub(super) derived: Vec<String>,
}

impl Columns {
    /// Columns of a row by the alias of its table, separated by commas.
    pub(super) fn of(columns: &[String], alias: &str) -> String {
        let named = columns.iter().map(|column| format!("{alias}.{column}"));
        named.collect::<Vec<_>>().join(", ")
    }

    /// The condition that two aliases are rows of one key.
    pub(super) fn same_key(&self, one: &str, other: &str) -> String {
        let equal = self
            .key
            .iter()
            .map(|column| format!("{one}.{column} = {other}.{column}"));
        equal.collect::<Vec<_>>().join(" and ")
    }
}

/// Runs a statement that is made of names of our own.
pub(super) async fn run(
    connection: &mut PgConnection,
    statement: String,
) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(connection)
        .await?;
    Ok(())
}
