//! How far evaluation has come, apart from how far rows have come.
//!
//! A projection that is rebuilt begins again at position 0 and sees every event once more. Its rows want that; memberships were decided
//! and announced then, and must not be again. So what was evaluated is kept in a place of its own, and whoever evaluates
//! waits while rows are behind it: half of the facts would throw people out of segments.

use std::collections::{BTreeMap, BTreeSet};

use aggregate::Partition;
use event_log::{Projection as _, StoredEvent};
use sqlx::{PgConnection, PgPool};

use crate::{
    react::{CustomerFacts, InteractionFacts},
    read_model::Catalogue,
};

/// The log of the customers service.
pub(crate) const CUSTOMERS: &str = "customers";
/// The log of the interactions service.
pub(crate) const INTERACTIONS: &str = "interactions";
/// This service's own log.
pub(crate) const OWN: &str = "segmentation";

/// Positions of a source that were evaluated, for the partitions of these events. They are locked for the rest of the transaction.
pub(crate) async fn evaluated(
    connection: &mut PgConnection,
    source: &str,
    events: &[StoredEvent],
) -> Result<BTreeMap<i16, i64>, sqlx::Error> {
    let partitions: BTreeSet<i16> = events
        .iter()
        .map(|event| event.partition.number().into())
        .collect();
    let rows: Vec<(i16, i64)> = sqlx::query_as(
        "select partition, position from evaluated where source = $1 and partition = any($2)
         order by partition for update",
    )
    .bind(source)
    .bind(partitions.into_iter().collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().collect())
}

/// Waits until all reactions to the log of customers that are under way now have committed. Those that begin later see every
/// segment that is there now; those before may have registered somebody without seeing it.
pub(crate) async fn wait_for_registrations(pool: &PgPool) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::query("select from evaluated where source = $1 order by partition for update")
        .bind(CUSTOMERS)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

/// Notes that these events of a source have been evaluated. Never goes back.
pub(crate) async fn moved(
    connection: &mut PgConnection,
    source: &str,
    events: &[StoredEvent],
) -> Result<(), sqlx::Error> {
    let mut last: BTreeMap<i16, i64> = BTreeMap::new();
    for event in events {
        let position = last.entry(event.partition.number().into()).or_default();
        *position = event.position.max(*position);
    }
    let (partitions, positions): (Vec<i16>, Vec<i64>) = last.into_iter().unzip();
    sqlx::query(
        "insert into evaluated (partition, source, position)
         select partition, $1, position from unnest($2::smallint[], $3::bigint[]) as t (partition, position)
         order by partition
         on conflict (partition, source) do update set position = excluded.position
         where evaluated.position < excluded.position",
    )
    .bind(source)
    .bind(partitions)
    .bind(positions)
    .execute(connection)
    .await?;
    Ok(())
}

/// What is behind what was evaluated: rows that are being rebuilt.
#[derive(Clone, Debug, Default)]
pub(crate) struct Behind {
    /// Segments and fits are.
    catalogue: bool,
    /// The facts of customers of these partitions are.
    facts: BTreeSet<i16>,
}

impl Behind {
    /// Reads it, from the view of a reaction to the log of `source` in some partitions: it applies events there that nobody has evaluated,
    /// so that it has applied all before them, though its checkpoints move only when it commits.
    pub(crate) async fn read(
        connection: &mut PgConnection,
        reaction: Option<(&str, &BTreeSet<Partition>)>,
    ) -> Result<Self, sqlx::Error> {
        let (source, partitions) = reaction.unzip();
        let partitions: Vec<i16> = partitions
            .into_iter()
            .flatten()
            .map(|partition| partition.number().into())
            .collect();
        let rows: Vec<(String, i16)> = sqlx::query_as(
            "select e.source, e.partition from evaluated e
             join unnest($1::text[], $2::text[], $3::integer[]) as p (source, projection, version) on p.source = e.source
             left join checkpoint c on c.partition = e.partition and c.projection = p.projection and c.version = p.version
             where coalesce(c.position, 0) < e.position and (e.source is distinct from $4 or e.partition <> all($5))",
        )
        .bind([OWN, CUSTOMERS, INTERACTIONS])
        .bind([Catalogue.name(), CustomerFacts.name(), InteractionFacts.name()])
        .bind([Catalogue.version(), CustomerFacts.version(), InteractionFacts.version()])
        .bind(source)
        .bind(partitions)
        .fetch_all(connection)
        .await?;
        let (own, facts): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|(source, _)| source == OWN);
        Ok(Self {
            catalogue: !own.is_empty(),
            facts: facts.into_iter().map(|(_, partition)| partition).collect(),
        })
    }

    /// Whether customers of this partition must not be evaluated now.
    pub(crate) fn holds_up(&self, partition: Partition) -> bool {
        self.catalogue || self.facts.contains(&i16::from(partition.number()))
    }

    /// The partitions whose customers must not be evaluated now.
    pub(crate) fn partitions(&self) -> Vec<i16> {
        Partition::all()
            .filter(|partition| self.holds_up(*partition))
            .map(|partition| partition.number().into())
            .collect()
    }

    /// Whether some of the facts or segments are incomplete.
    pub(crate) fn is_anything(&self) -> bool {
        self.catalogue || !self.facts.is_empty()
    }
}
