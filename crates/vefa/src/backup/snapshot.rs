//! Moments of the four databases that fit together: in no dump is anything applied that another dump does not have.
//!
//! No moment is shared by two databases, and customers and interactions follow each other, so that no order of taking them is right for both.
//! They are taken one right after the other, those who follow before what they follow, and looked at; where somebody had applied what came
//! in between, all four are taken anew.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use service::{Config, ServiceName};
use sqlx::{Connection as _, PgConnection};

use super::{Erased, Extent, manifest::Follower};
use crate::projections::{Following, following, told};

/// How often moments that do not fit together are taken anew. Between two of them lies a question to PostgreSQL, and between an event and
/// whoever has applied it lie a commit, the relay, NATS and another commit.
const ATTEMPTS_MAX: u32 = 20;

/// A moment of a database, which stays as long as the transaction does.
pub(super) struct Snapshot {
    pub(super) service: ServiceName,
    connection: PgConnection,
    pub(super) id: String,
    pub(super) extent: Extent,
    pub(super) erased: Erased,
    reached: Vec<Reached>,
}

/// How far a follower has come: epoch and position of each partition of which it has applied anything.
struct Reached {
    follower: Follower,
    source: ServiceName,
    checkpoints: BTreeMap<i16, (i32, i64)>,
}

/// Takes a moment of each database, so that they fit together.
pub(super) async fn take(config: &Config) -> Result<Vec<Snapshot>> {
    let following = following(config).await?;
    let mut attempt = 1;
    loop {
        let snapshots = attempted(config, &following).await?;
        let ahead = ahead(&snapshots);
        if ahead.is_empty() {
            if attempt > 1 {
                told(&format!(
                    "moments that fit together were found at attempt {attempt}"
                ));
            }
            return Ok(snapshots);
        }
        if attempt == ATTEMPTS_MAX {
            told(&format!(
                "no moments were found that fit together; a restore takes back what these have applied too much: {}",
                ahead.join(", ")
            ));
            return Ok(snapshots);
        }
        attempt += 1;
    }
}

async fn attempted(config: &Config, following: &[Following]) -> Result<Vec<Snapshot>> {
    let mut connections = Vec::new();
    for service in ServiceName::ALL.into_iter().rev() {
        let connection = begin(config, service).await;
        connections.push((service, connection.with_context(|| of(service))?));
    }
    let mut taken = Vec::new();
    for (service, mut connection) in connections {
        let id = sqlx::query_scalar("select pg_export_snapshot()")
            .fetch_one(&mut connection)
            .await
            .with_context(|| of(service))?;
        #[cfg(feature = "failpoints")]
        fail::fail_point!("backup-snapshot-taken");
        taken.push((service, connection, id));
    }
    let mut snapshots = Vec::new();
    for (service, connection, id) in taken {
        let snapshot = Snapshot::read(service, connection, id, following).await;
        snapshots.push(snapshot.with_context(|| of(service))?);
    }
    Ok(snapshots)
}

fn of(service: ServiceName) -> String {
    format!("the database of {service}")
}

/// The moment itself is that of the first question.
async fn begin(config: &Config, service: ServiceName) -> Result<PgConnection> {
    let url = config.database.url.of(service).expose();
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql("begin isolation level repeatable read, read only")
        .execute(&mut connection)
        .await?;
    Ok(connection)
}

/// The followers that have applied what the snapshot of their source does not have.
fn ahead(snapshots: &[Snapshot]) -> Vec<&str> {
    // Left out by a test, to see that it is missed.
    #[cfg(feature = "failpoints")]
    fail::fail_point!("broken-backup-fit", |_| Vec::new());
    let extents: BTreeMap<ServiceName, &Extent> = snapshots
        .iter()
        .map(|snapshot| (snapshot.service, &snapshot.extent))
        .collect();
    let reached = snapshots.iter().flat_map(|snapshot| &snapshot.reached);
    reached
        .filter(|one| {
            let source = extents.get(&one.source);
            source.is_some_and(|source| is_ahead(&one.checkpoints, source))
        })
        .map(|one| one.follower.projection.as_str())
        .collect()
}

/// A checkpoint of an older epoch is placed by the forks of the log, wherever it stands.
fn is_ahead(checkpoints: &BTreeMap<i16, (i32, i64)>, source: &Extent) -> bool {
    checkpoints.iter().any(|(partition, (epoch, position))| {
        let head = source.positions.get(partition).copied().unwrap_or(0);
        *epoch > source.epoch || (*epoch == source.epoch && *position > head)
    })
}

impl Snapshot {
    async fn read(
        service: ServiceName,
        mut connection: PgConnection,
        id: String,
        following: &[Following],
    ) -> Result<Self> {
        let mut reached = Vec::new();
        for one in following.iter().filter(|one| one.service == service) {
            reached.push(Reached::read(&mut connection, one).await?);
        }
        Ok(Self {
            service,
            id,
            extent: Extent::read(&mut connection).await?,
            erased: Erased::in_database(&mut connection).await?,
            connection,
            reached,
        })
    }

    pub(super) fn followers(&self) -> Vec<Follower> {
        let followers = self.reached.iter();
        followers.map(|one| one.follower.clone()).collect()
    }

    /// Shows that the transaction is not forgotten.
    pub(super) async fn sign_of_life(&mut self) -> Result<()> {
        sqlx::raw_sql("select 1")
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }
}

impl Reached {
    async fn read(connection: &mut PgConnection, following: &Following) -> Result<Self> {
        let rows: Vec<(i16, i32, i64)> = sqlx::query_as(
            "select partition, greatest(source_epoch, 1), position from public.checkpoint
             where projection = $1 and version = $2 and position > 0",
        )
        .bind(following.projection)
        .bind(following.version)
        .fetch_all(connection)
        .await?;
        Ok(Self {
            follower: Follower {
                projection: following.projection.to_owned(),
                version: following.version,
                source: following.source.as_str().to_owned(),
            },
            source: following.source,
            checkpoints: rows
                .into_iter()
                .map(|(partition, epoch, position)| (partition, (epoch, position)))
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_is_ahead_of_what_its_source_does_not_have() {
        let source = Extent {
            epoch: 2,
            positions: [(3, 7)].into(),
            migrations: Vec::new(),
        };
        for (partition, epoch, position, expected) in [
            (3, 2, 7, false),
            (3, 2, 8, true),
            (4, 2, 1, true),
            // The forks tell.
            (3, 1, 9, false),
            // The epoch was raised between the two moments.
            (3, 3, 1, true),
        ] {
            let checkpoints = [(partition, (epoch, position))].into();
            assert_eq!(
                is_ahead(&checkpoints, &source),
                expected,
                "{partition} {epoch} {position}"
            );
        }
    }
}
