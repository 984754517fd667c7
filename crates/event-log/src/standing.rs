//! How a log and what follows it stand, looked up at once: what an operator is shown again and again, so it has to be cheap.
//! [`status`](crate::status()) tells more about one projection, to somebody who asks once.

use std::collections::BTreeMap;

use aggregate::Partition;
use time::OffsetDateTime;

use crate::{EventLog, control::Target, error::LogError, read::partition_of};

/// How a log stands, and what is recorded beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The last position of each partition.
    pub heads: BTreeMap<Partition, i64>,
    /// The projections that were asked for, in that order.
    pub projections: Vec<ProjectionStanding>,
    /// Timers that are due and have not fired, at most 1,000 of each partition.
    pub timers_due: i64,
    /// When the first of these was due.
    pub timers_due_since: Option<OffsetDateTime>,
}

/// How a projection stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectionStanding {
    /// How far it has come in each partition of the log that it follows. None for one that it has not begun.
    pub positions: BTreeMap<Partition, i64>,
    /// Partitions that stand still because an event is not known, or all of them because an operator said so.
    pub paused_partitions: i64,
    /// Streams of which something is parked; of all projections at most 10,000.
    pub parked_streams: i64,
}

type Row = (String, String, i32, i16, i64, Option<OffsetDateTime>);

impl EventLog {
    /// How the log stands, and these projections in its database, by one statement. `now` says which timers are due.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn standing(
        &self,
        targets: &[Target],
        now: OffsetDateTime,
    ) -> Result<Standing, LogError> {
        let names: Vec<&str> = targets.iter().map(|target| target.projection).collect();
        let rows: Vec<Row> = sqlx::query_as(include_str!("standing.sql"))
            .bind(now)
            .bind(names)
            .fetch_all(self.pool())
            .await?;
        let mut standing = Standing {
            projections: vec![ProjectionStanding::default(); targets.len()],
            ..Standing::default()
        };
        for (kind, projection, version, partition, amount, since) in rows {
            let place = targets
                .iter()
                .position(|target| target.projection == projection && target.version == version);
            let of_projection = place.and_then(|place| standing.projections.get_mut(place));
            match (kind.as_str(), of_projection) {
                ("head", _) => {
                    standing.heads.insert(partition_of(partition)?, amount);
                }
                ("due", _) => (standing.timers_due, standing.timers_due_since) = (amount, since),
                ("position", Some(of)) => {
                    of.positions.insert(partition_of(partition)?, amount);
                }
                ("paused", Some(of)) => of.paused_partitions = amount,
                ("parked", Some(of)) => of.parked_streams = amount,
                // Of a version that is no more, or of a projection that is not asked for.
                _ => {}
            }
        }
        Ok(standing)
    }
}
