//! Whether the live rows are what the log makes of them.
//!
//! All is seen in one snapshot, in which the rebuild goes up to exactly where the live projection stands: nobody has to stand still for it.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, PgConnection};

use super::{
    Rebuild, RebuildError,
    shadow::{Columns, run},
};
use crate::projection::{Projection, Table};

/// Keys of rows that differ which are told of one table.
const TOLD_MAX: i64 = 20;

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Events that both sides have applied.
    pub events: i64,
    /// Each table.
    pub tables: Vec<TableComparison>,
}

impl Comparison {
    /// Whether the live rows are those that the log makes.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.tables.iter().all(TableComparison::is_equal)
    }
}

/// What a comparison found in one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableComparison {
    /// The table.
    pub table: &'static str,
    /// Rows that are there.
    pub live_rows: i64,
    /// Rows that should be there.
    pub rebuilt_rows: i64,
    /// Sum of the hashes of all rows.
    pub live_hash: String,
    /// What that should be.
    pub rebuilt_hash: String,
    /// Rows that differ, at most twenty, in the order of their keys.
    pub differences: Vec<Difference>,
}

impl TableComparison {
    /// Whether the table holds what the log makes of it.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.live_rows == self.rebuilt_rows && self.live_hash == self.rebuilt_hash
    }
}

/// A row that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its key, in the form `partition=3, tenant=demo`.
    pub key: String,
    /// `missing`, `extra` or `different`, as seen from what should be there.
    pub kind: String,
}

impl<P: Projection> Rebuild<P> {
    /// Compares the live rows with rebuilt ones, table by table, and drops the latter. The live projection goes on meanwhile.
    ///
    /// # Errors
    /// [`RebuildError::Event`] when an event cannot be applied.
    pub async fn compare(mut self) -> Result<Comparison, RebuildError> {
        let outcome = self.in_one_snapshot().await;
        self.abandon().await?;
        outcome
    }

    async fn in_one_snapshot(&mut self) -> Result<Comparison, RebuildError> {
        while self.step().await?.left() > 0 {}
        let mut transaction = self.pool.begin().await?;
        run(
            &mut transaction,
            "set transaction isolation level repeatable read".to_owned(),
        )
        .await?;
        let targets = self.shadow.targets(&mut transaction).await?;
        let mut positions: BTreeMap<_, _> = self.positions();
        let events = loop {
            let batch = self.read_up_to(&positions, &targets).await?;
            for event in &batch.events {
                positions.insert(event.partition, event.position);
            }
            if batch.events.is_empty() {
                break batch.total;
            }
            self.projection
                .derive(&mut transaction, &batch.events)
                .await?;
        };
        let mut tables = Vec::new();
        for table in self.shadow.tables {
            tables.push(self.compare_table(&mut transaction, table).await?);
        }
        transaction.rollback().await?;
        Ok(Comparison { events, tables })
    }

    async fn compare_table(
        &self,
        connection: &mut PgConnection,
        table: &Table,
    ) -> Result<TableComparison, sqlx::Error> {
        let columns = self.shadow.columns(connection, table).await?;
        let (live_rows, live_hash) = count(connection, &self.shadow.live, table, &columns).await?;
        let (rebuilt_rows, rebuilt_hash) =
            count(connection, &self.shadow.schema, table, &columns).await?;
        let mut compared = TableComparison {
            table: table.name,
            live_rows,
            rebuilt_rows,
            live_hash,
            rebuilt_hash,
            differences: Vec::new(),
        };
        if !compared.is_equal() {
            compared.differences = self.differences(connection, table, &columns).await?;
        }
        Ok(compared)
    }

    async fn differences(
        &self,
        connection: &mut PgConnection,
        table: &Table,
        columns: &Columns,
    ) -> Result<Vec<Difference>, sqlx::Error> {
        let key: Vec<String> = columns
            .key
            .iter()
            .map(|column| {
                format!(
                    "'{}=' || coalesce(l.{column}, s.{column})::text",
                    column.trim_matches('"')
                )
            })
            .collect();
        let order = columns
            .key
            .iter()
            .map(|column| format!("coalesce(l.{column}, s.{column})"));
        let first = &columns.key[0];
        let statement = format!(
            "select concat_ws(', ', {key}),
                case when l.{first} is null then 'missing' when s.{first} is null then 'extra' else 'different' end
             from {live}.{name} l full join {schema}.{name} s on {same_key}
             where l.{first} is null or s.{first} is null or row({ours})::text <> row({theirs})::text
             order by {order} limit {TOLD_MAX}",
            key = key.join(", "),
            live = self.shadow.live,
            schema = self.shadow.schema,
            name = table.name,
            same_key = columns.same_key("l", "s"),
            ours = Columns::of(&columns.derived, "l"),
            theirs = Columns::of(&columns.derived, "s"),
            order = order.collect::<Vec<_>>().join(", "),
        );
        let rows: Vec<(String, String)> = sqlx::query_as(AssertSqlSafe(statement))
            .fetch_all(connection)
            .await?;
        let rows = rows.into_iter();
        Ok(rows.map(|(key, kind)| Difference { key, kind }).collect())
    }
}

/// Rows of a table, and the sum of their hashes: the same whatever their order.
async fn count(
    connection: &mut PgConnection,
    schema: &str,
    table: &Table,
    columns: &Columns,
) -> Result<(i64, String), sqlx::Error> {
    let statement = format!(
        "select count(*), coalesce(sum(hashtextextended(row({columns})::text, 0)), 0)::text from {schema}.{name} t",
        columns = Columns::of(&columns.derived, "t"),
        name = table.name,
    );
    sqlx::query_as(AssertSqlSafe(statement))
        .fetch_one(connection)
        .await
}
