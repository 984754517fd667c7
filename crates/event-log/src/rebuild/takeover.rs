//! The rebuilt rows take the place of the live ones, in one step.
//!
//! The takeover seizes the leases first, in a short transaction: whoever worked until now is fenced and can write nothing more, so that the
//! live checkpoints stand still. What is left up to there is applied, and then tables change places in one transaction, which
//! waits for nobody who could wait for it. When it is killed before that, its leases run out and the live projection goes on as it was.

use std::collections::BTreeMap;

use sqlx::{PgConnection, Row as _};

use super::{LEASE, Rebuild, RebuildError, shadow::Columns, shadow::run, tidied};
use crate::{
    broken,
    checkpoint::Checkpoints,
    control::{self, Target},
    event::StoredEvent,
    projection::{Projection, ProjectionError, Table},
};

/// How often the tables are tried to be locked, for [`LOCK_TIMEOUT_MS`] each: meanwhile readers queue up behind us.
const ATTEMPTS: u32 = 10;
const LOCK_TIMEOUT_MS: u32 = 500;

impl<P: Projection> Rebuild<P> {
    /// Puts the rebuilt rows in the place of the live ones. The live projection goes on from where it was; what it had parked and where it had
    /// diverged is cleared, because the rebuilt rows have it all.
    ///
    /// # Errors
    /// [`RebuildError::InUse`] when somebody reads the live tables for too long. The live projection is as it was after an error.
    pub async fn take_over(mut self) -> Result<(), RebuildError> {
        let leases = Checkpoints::new(
            self.live.clone(),
            self.shadow.projection,
            self.shadow.version,
            LEASE,
        );
        let Err(error) = self.swap(&leases).await else {
            return Ok(());
        };
        // Without this the live projection would stand still until the leases run out.
        tidied(leases.release().await);
        tidied(self.abandon().await);
        Err(error)
    }

    async fn swap(&mut self, leases: &Checkpoints) -> Result<(), RebuildError> {
        while self.step().await?.left() > 0 {}
        for table in self.shadow.tables {
            let mut connection = self.pool.acquire().await?;
            let analyze = format!("analyze {}.{}", self.shadow.schema, table.name);
            run(&mut connection, analyze).await?;
        }
        if !broken::takeover() {
            leases.seize().await?;
        }
        self.check_history().await?;
        while self.step().await?.left() > 0 {
            leases.acquire().await?;
        }
        let parked = self.parked_events().await?;
        for _ in 0..ATTEMPTS {
            leases.acquire().await?;
            match self.exchange(leases, &parked).await {
                Err(RebuildError::Database(error)) if is_lock_timeout(&error) => {}
                outcome => return outcome,
            }
        }
        Err(RebuildError::InUse)
    }

    /// What was applied has to be of the history that the log has now.
    async fn check_history(&self) -> Result<(), RebuildError> {
        let history = self.source.history().await?;
        let mut connection = self.live.acquire().await?;
        let targets = self.shadow.targets(&mut connection).await?;
        for (partition, at) in targets {
            let fork = history.fork_since(at.source_epoch.max(1), partition);
            // The own log has no epoch in its checkpoints: its projections and it were restored together.
            if at.source_epoch > 0 && fork.is_some_and(|fork| fork < at.position) {
                return Err(RebuildError::HistoryMoved);
            }
        }
        Ok(())
    }

    /// The events of the streams that are parked, in order: nobody has reacted to them.
    async fn parked_events(&self) -> Result<Vec<StoredEvent>, RebuildError> {
        let rows: Vec<(i16, i64)> = sqlx::query_as(
            "select partition, position from parked
             where projection = $1 and version = $2 and position > 0 order by partition, position",
        )
        .bind(self.shadow.projection)
        .bind(self.shadow.version)
        .fetch_all(&self.live)
        .await?;
        let mut events = Vec::with_capacity(rows.len());
        for (partition, position) in rows {
            let partition = crate::read::partition_of(partition)?;
            let read = self
                .source
                .read_after(&[(partition, position - 1)], 1)
                .await?;
            let found = read.into_iter().find(|event| event.position == position);
            events.push(found.ok_or(ProjectionError::Missing {
                partition: partition.number(),
                position,
            })?);
        }
        Ok(events)
    }

    async fn exchange(
        &self,
        leases: &Checkpoints,
        parked: &[StoredEvent],
    ) -> Result<(), RebuildError> {
        let (schema, live) = (&self.shadow.schema, &self.shadow.live);
        let mut transaction = self.live.begin().await?;
        run(
            &mut transaction,
            format!(
                "set local lock_timeout to {LOCK_TIMEOUT_MS}; set local statement_timeout to 0"
            ),
        )
        .await?;
        let names: Vec<String> = self
            .shadow
            .tables
            .iter()
            .map(|table| format!("{live}.{}", table.name))
            .collect();
        let lock = format!("lock table {} in access exclusive mode", names.join(", "));
        run(&mut transaction, lock).await?;
        if !broken::takeover() {
            leases.release_all_in(&mut transaction).await?;
        }
        for table in self.shadow.tables {
            self.keep_aside(&mut transaction, table).await?;
        }
        let renames = self.renames(&mut transaction).await?;
        run(&mut transaction, format!("drop table {}", names.join(", "))).await?;
        for table in self.shadow.tables {
            let name = table.name;
            let to_live = format!("alter table {schema}.{name} set schema {live}");
            run(&mut transaction, to_live).await?;
        }
        for (from, to) in renames {
            run(
                &mut transaction,
                format!("alter index {live}.{from} rename to {to}"),
            )
            .await?;
        }
        let target = Target {
            projection: self.shadow.projection,
            version: self.shadow.version,
        };
        control::clear(&mut transaction, target).await?;
        if !parked.is_empty() {
            self.projection.react(&mut transaction, parked).await?;
        }
        self.shadow.drop_in(&mut transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Rows that come out as they were keep what does not follow from events.
    async fn keep_aside(
        &self,
        connection: &mut PgConnection,
        table: &Table,
    ) -> Result<(), sqlx::Error> {
        if table.aside.is_empty() {
            return Ok(());
        }
        let columns = self.shadow.columns(connection, table).await?;
        let set: Vec<String> = table
            .aside
            .iter()
            .map(|column| format!("{column} = l.{column}"))
            .collect();
        let statement = format!(
            "update {schema}.{name} s set {set} from {live}.{name} l
             where {same_key} and row({ours}) is not distinct from row({theirs})",
            schema = self.shadow.schema,
            live = self.shadow.live,
            name = table.name,
            set = set.join(", "),
            same_key = columns.same_key("s", "l"),
            ours = Columns::of(&columns.derived, "s"),
            theirs = Columns::of(&columns.derived, "l"),
        );
        run(connection, statement).await
    }

    /// The names that the copies of the indexes have, and those that they had where migrations made them.
    async fn renames(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Vec<(String, String)>, sqlx::Error> {
        let mut renames = Vec::new();
        for table in self.shadow.tables {
            let copies = indexes(connection, &self.shadow.schema, table.name).await?;
            let mut originals = indexes(connection, &self.shadow.live, table.name).await?;
            for (definition, copy) in copies {
                let name = originals.get_mut(&definition).and_then(Vec::pop);
                for (copy, name) in copy.into_iter().zip(name) {
                    if copy != name {
                        renames.push((copy, name));
                    }
                }
            }
        }
        Ok(renames)
    }
}

/// The indexes of a table by what they are, each with the quoted names of those that are so.
async fn indexes(
    connection: &mut PgConnection,
    schema: &str,
    table: &str,
) -> Result<BTreeMap<String, Vec<String>>, sqlx::Error> {
    let rows = sqlx::query(
        "select quote_ident(c.relname) as name, i.indisunique::text || ' using '
            || split_part(pg_get_indexdef(i.indexrelid), ' USING ', 2) as definition
         from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = $1::regclass order by c.relname",
    )
    .bind(format!("{schema}.{table}"))
    .fetch_all(connection)
    .await?;
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows {
        let names = found.entry(row.try_get("definition")?).or_default();
        names.push(row.try_get("name")?);
    }
    Ok(found)
}

fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code == "55P03")
}
