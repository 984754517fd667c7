//! What the four databases say themselves: the events, and how far everyone who reads them has come.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
#[cfg(test)]
use contracts::interactions::v1::PurchaseRecorded;
#[cfg(test)]
use prost::{Message, Name};
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep};

use super::service::{PerService, Service};

const PAUSE: Duration = Duration::from_millis(100);

/// A purchase as the log has it: source id, customer id, moment in seconds, amount.
#[cfg(test)]
pub(crate) type Recorded = (String, String, i64, i64);

/// The last position of each partition that has any.
type Positions = BTreeMap<i16, i64>;

/// The logs, asked in PostgreSQL.
pub(crate) struct Logs {
    databases: PerService<String>,
}

/// Who follows no log; where the relay is stands in the stream, which is compared in the end. `event_log` has the same, without which this
/// program is built much faster.
const LEASES: [&str; 2] = ["relay", "timers"];
const READERS: &str = "select projection, partition, position from checkpoint
     where projection <> all($1) order by projection, partition";

#[derive(Debug, PartialEq, Eq)]
struct Look {
    heads: PerService<Positions>,
    /// By service and name: read models, and followers of other services.
    readers: BTreeMap<(&'static str, String), Positions>,
    /// Timers that are due and have not fired.
    due: i64,
}

impl Logs {
    pub(crate) fn new(databases: PerService<String>) -> Self {
        Self { databases }
    }

    /// Waits until every reader of every log is at its end, partition by partition, and nothing moves any more.
    pub(crate) async fn wait_until_read(&self, limit: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + limit;
        let mut before = self.look().await?;
        loop {
            sleep(PAUSE).await;
            let now = self.look().await?;
            if now == before && now.behind().is_empty() && now.due == 0 {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!(
                    "after {limit:?} these have not read all, or all is still moving: {:?}; {} timers are due",
                    now.behind(),
                    now.due
                );
            }
            before = now;
        }
    }

    async fn look(&self) -> anyhow::Result<Look> {
        let mut heads = Vec::new();
        let mut readers: BTreeMap<_, Positions> = BTreeMap::new();
        let mut due = 0;
        for service in Service::ALL {
            let mut database = self.connect(service).await?;
            let head: Vec<(i16, i64)> =
                sqlx::query_as("select partition, position from log_head where position > 0")
                    .fetch_all(&mut database)
                    .await
                    .context("reading how far a log goes")?;
            heads.push(head.into_iter().collect());
            let rows: Vec<(String, i16, i64)> = sqlx::query_as(READERS)
                .bind(LEASES)
                .fetch_all(&mut database)
                .await
                .context("reading how far the readers have come")?;
            due += sqlx::query_scalar::<_, i64>("select count(*) from timer where due_at <= now()")
                .fetch_one(&mut database)
                .await
                .context("counting the timers that are due")?;
            for (reader, partition, position) in rows {
                let positions = readers.entry((service.name(), reader)).or_default();
                if position > 0 {
                    positions.insert(partition, position);
                }
            }
        }
        let mut heads = heads.into_iter();
        Ok(Look {
            heads: PerService::try_new(|_| heads.next().context("one for each service"))?,
            readers,
            due,
        })
    }

    async fn connect(&self, service: Service) -> anyhow::Result<PgConnection> {
        PgConnection::connect(self.databases.of(service))
            .await
            .with_context(|| format!("connecting to the database of {}", service.name()))
    }
}

#[cfg(test)]
impl Logs {
    /// Events of each log by type.
    pub(crate) async fn event_counts(&self) -> anyhow::Result<PerService<BTreeMap<String, u64>>> {
        let mut counts = Vec::new();
        for service in Service::ALL {
            let rows: Vec<(String, i64)> =
                sqlx::query_as("select type, count(*) from event group by type")
                    .fetch_all(&mut self.connect(service).await?)
                    .await
                    .with_context(|| format!("counting the events of {}", service.name()))?;
            let rows = rows.into_iter();
            counts.push(
                rows.map(|(type_, count)| (type_, count.unsigned_abs()))
                    .collect(),
            );
        }
        let mut counts = counts.into_iter();
        PerService::try_new(|_| counts.next().context("one for each service"))
    }

    /// Every purchase that the log of interactions holds, in order of source id.
    pub(crate) async fn purchases(&self) -> anyhow::Result<Vec<Recorded>> {
        let payloads: Vec<Vec<u8>> =
            sqlx::query_scalar("select payload from event where type = $1")
                .bind(PurchaseRecorded::full_name())
                .fetch_all(&mut self.connect(Service::Interactions).await?)
                .await
                .context("reading the purchases")?;
        let mut purchases = Vec::new();
        for payload in payloads {
            let purchase = PurchaseRecorded::decode(payload.as_slice())?;
            let occurred = purchase.occurred_time.context("a purchase without a day")?;
            purchases.push((
                purchase.source_id,
                purchase.customer_id,
                occurred.seconds,
                purchase.total_minor,
            ));
        }
        purchases.sort();
        Ok(purchases)
    }
}

impl Look {
    /// Readers that stand at the end of none of the logs, with the events that they have read. All four logs
    /// have events, and no two are alike.
    fn behind(&self) -> Vec<(&(&'static str, String), i64)> {
        let is_end = |positions: &Positions| self.heads.iter().any(|(_, head)| head == positions);
        let readers = self.readers.iter();
        readers
            .filter(|(_, positions)| !is_end(positions))
            .map(|(reader, positions)| (reader, positions.values().sum()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn readers_are_all_but_those_who_only_have_leases() {
        assert_eq!(super::LEASES, event_log::LEASES);
    }
}
