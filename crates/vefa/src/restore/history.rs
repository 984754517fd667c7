//! The history that a restored log begins. A position that was given to one event before the restore is given to another one after it, so
//! that whoever had applied the first would take the second for applied. An epoch of its own keeps the two apart: everybody who followed,
//! restored or not, goes back to what both histories have in common, whether or not NATS has kept anything.

use std::{collections::BTreeMap, fmt::Write as _};

use aggregate::PARTITIONS;
use anyhow::{Context as _, Result};
use service::{Config, ServiceName};
use sqlx::PgConnection;

use crate::backup::{Dumped, Manifest};

/// The history that a log begins when it is restored.
pub(super) struct Beginning {
    /// Its epoch, which no follower has ever seen.
    pub(super) epoch: i32,
    /// The epoch of the dump.
    dumped: i32,
    /// The heads of the dump, where the new history begins.
    heads: BTreeMap<i16, i64>,
    /// What it has in common with every history that somebody may have followed meanwhile.
    forks: BTreeMap<i16, i64>,
}

/// The beginnings of the services that are restored.
pub(super) type Beginnings = BTreeMap<ServiceName, Beginning>;

/// Finds them, while the databases are as they were.
pub(super) async fn beginnings(
    config: &Config,
    manifest: &Manifest,
    chosen: &[ServiceName],
) -> Result<Beginnings> {
    let mut beginnings = Beginnings::new();
    for service in chosen {
        let dumped = &manifest.of(*service)?.extent;
        let reading = || format!("reading which histories there were of {service}");
        let present = present(config, *service, dumped.epoch)
            .await
            .with_context(reading)?;
        let followed = followed(config, manifest, *service)
            .await
            .with_context(reading)?;
        let beginning = Beginning::new(dumped.epoch, &dumped.positions, present, followed);
        beginnings.insert(*service, beginning);
    }
    Ok(beginnings)
}

/// The history of the log that is there now.
#[derive(Default)]
struct Present {
    epoch: i32,
    /// Of each partition the last position that it has in common with all histories since the dump.
    forks: BTreeMap<i16, i64>,
}

impl Beginning {
    fn new(dumped: i32, heads: &BTreeMap<i16, i64>, present: Present, followed: i32) -> Self {
        let newest = dumped.max(present.epoch).max(followed);
        let partitions = (0..PARTITIONS).map(i16::from);
        let forks = partitions.map(|partition| {
            let head = heads.get(&partition).copied().unwrap_or(0);
            let shared = if newest == dumped {
                head
            } else if newest == present.epoch {
                let fork = present.forks.get(&partition).copied().unwrap_or(0);
                head.min(fork)
            } else {
                // Nobody knows any more where that history came from.
                0
            };
            (partition, shared)
        });
        Self {
            epoch: if broken() { dumped } else { newest + 1 },
            dumped,
            heads: heads.clone(),
            forks: forks.collect(),
        }
    }
}

async fn present(config: &Config, service: ServiceName, dumped: i32) -> Result<Present> {
    let mut connection = super::connect(config, service).await?;
    if !exists(&mut connection, "public.log_fork").await? {
        return Ok(Present::default());
    }
    let epoch = sqlx::query_scalar("select epoch from public.log_epoch")
        .fetch_one(&mut connection)
        .await?;
    let forks: Vec<(i16, i64)> = sqlx::query_as(
        "select partition, min(position) from public.log_fork where epoch > $1 group by partition",
    )
    .bind(dumped)
    .fetch_all(&mut connection)
    .await?;
    Ok(Present {
        epoch,
        forks: forks.into_iter().collect(),
    })
}

/// The newest epoch of a log that any follower has seen, as far as the present databases know.
async fn followed(config: &Config, manifest: &Manifest, source: ServiceName) -> Result<i32> {
    let mut newest = 0;
    for service in ServiceName::ALL {
        let followers = &manifest.of(service)?.followers;
        let followers = followers
            .iter()
            .filter(|one| one.source == source.as_str())
            .map(|one| one.projection.as_str());
        let mut connection = super::connect(config, service).await?;
        if !exists(&mut connection, "public.checkpoint").await? {
            continue;
        }
        let seen: i32 = sqlx::query_scalar(
            "select coalesce(max(source_epoch), 0) from public.checkpoint where projection = any($1)",
        )
        .bind(followers.collect::<Vec<_>>())
        .fetch_one(&mut connection)
        .await?;
        newest = seen.max(newest);
    }
    Ok(newest)
}

async fn exists(connection: &mut PgConnection, table: &str) -> Result<bool> {
    Ok(sqlx::query_scalar("select to_regclass($1) is not null")
        .bind(table)
        .fetch_one(connection)
        .await?)
}

/// Each follower by partition: how far the log that it follows goes in the backup, and under which epochs before and after. The rows
/// follow, as `copy` takes them.
const ORIGIN: &str = r"
create temporary table origin
    (partition smallint, projection text, version integer, source text, head bigint, old_epoch integer, new_epoch integer) on commit drop;
copy origin from stdin;
";
/// Followers go over to the new history in the transaction that brings them back, so that they take nothing of the old one that NATS may
/// still have. What one of them has applied and its log does not have is told as `Follower` tells it when it finds out itself.
/// Whoever followed an older epoch than the dump's is left for the forks of the log to place.
const MOVE: &str = r"\.
create temporary table moved on commit drop as
    select c.partition, c.projection, c.version, o.source, o.old_epoch, o.new_epoch, c.position, least(c.position, o.head) as target
    from public.checkpoint c join origin o on o.partition = c.partition and o.projection = c.projection and o.version = c.version
    where greatest(c.source_epoch, 1) = o.old_epoch;
insert into public.divergence (partition, projection, version, source, old_epoch, new_epoch, from_position, to_position)
    select partition, projection, version, source, old_epoch, new_epoch, position, target from moved where target < position;
delete from public.parked p using moved m
    where p.partition = m.partition and p.projection = m.projection and p.version = m.version and p.position > m.target;
update public.checkpoint c set position = m.target, source_epoch = m.new_epoch, source_sequence = 0 from moved m
    where c.partition = m.partition and c.projection = m.projection and c.version = m.version;
";

/// Segmentation keeps apart how far it has evaluated what it has applied: the rows of a follower that went back are behind that, nobody whose
/// rows are behind is evaluated, and what takes the same positions would count as evaluated.
const NOT_EVALUATED: &str = r"
update public.evaluated e set position = m.target from moved m
    where e.partition = m.partition and e.source = m.source and e.position > m.target;
";

/// What begins the new history in the transaction that restores a service, and takes its followers over to those of their sources.
pub(super) fn sql(service: ServiceName, dumped: &Dumped, beginnings: &Beginnings) -> String {
    let mut sql = String::new();
    if broken() {
        return sql;
    }
    let mut add = |text: std::fmt::Arguments<'_>| {
        sql.write_fmt(text)
            .expect("writing to a string does not fail");
    };
    if let Some(Beginning { epoch, forks, .. }) = beginnings.get(&service) {
        add(format_args!(
            "\nupdate public.log_epoch set epoch = {epoch};\n"
        ));
        for (partition, position) in forks {
            add(format_args!(
                "insert into public.log_fork (partition, epoch, position) values ({partition}, {epoch}, {position});\n"
            ));
        }
    }
    add(format_args!("{ORIGIN}"));
    for follower in &dumped.followers {
        let mut sources = beginnings.iter();
        let Some((_, source)) = sources.find(|(name, _)| name.as_str() == follower.source) else {
            // It is as it was, and tells its followers itself where its history parted from what they know.
            continue;
        };
        for partition in (0..PARTITIONS).map(i16::from) {
            let head = source.heads.get(&partition).copied().unwrap_or(0);
            add(format_args!(
                "{partition}\t{}\t{}\t{}\t{head}\t{}\t{}\n",
                follower.projection, follower.version, follower.source, source.dumped, source.epoch
            ));
        }
    }
    add(format_args!("{MOVE}"));
    if service == ServiceName::Segmentation {
        add(format_args!("{NOT_EVALUATED}"));
    }
    sql
}

/// Whether a test leaves the new history out, to see that it is missed.
fn broken() -> bool {
    #[cfg(feature = "failpoints")]
    fail::fail_point!("broken-restore-history", |_| true);
    false
}

/// The followers of a database that had applied what the restored logs do not have, and whose rows still show it.
pub(super) async fn taken_back(
    connection: &mut PgConnection,
    beginnings: &Beginnings,
) -> Result<Vec<String>> {
    let (sources, epochs): (Vec<&str>, Vec<i32>) = beginnings
        .iter()
        .map(|(service, beginning)| (service.as_str(), beginning.epoch))
        .unzip();
    Ok(sqlx::query_scalar(
        "select distinct d.projection from public.divergence d
         join unnest($1::text[], $2::integer[]) as b (source, epoch) on b.source = d.source and b.epoch = d.new_epoch
         order by 1",
    )
    .bind(sources)
    .bind(epochs)
    .fetch_all(connection)
    .await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(dumped: i32, present: i32, fork: i64, followed: i32) -> (i32, i64) {
        let present = Present {
            epoch: present,
            forks: [(3, fork)].into(),
        };
        let beginning = Beginning::new(dumped, &[(3, 10)].into(), present, followed);
        assert_eq!(beginning.forks.len(), usize::from(PARTITIONS));
        assert_eq!(beginning.forks[&4], 0);
        (beginning.epoch, beginning.forks[&3])
    }

    #[test]
    fn the_new_epoch_is_beyond_all_that_were_followed_and_shares_what_all_of_them_have() {
        // The usual case: nothing was restored since.
        assert_eq!(shared(1, 1, 0, 1), (2, 10));
        assert_eq!(shared(1, 0, 0, 0), (2, 10));
        // Somebody follows a history that parted from the dump's before its head, or behind it.
        assert_eq!(shared(1, 2, 5, 2), (3, 5));
        assert_eq!(shared(1, 2, 15, 1), (3, 10));
        // Or one of which nothing else is left.
        assert_eq!(shared(1, 0, 0, 4), (5, 0));
        assert_eq!(shared(1, 2, 15, 4), (5, 0));
    }
}
