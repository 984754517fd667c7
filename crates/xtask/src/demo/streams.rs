//! Whether each service's stream in NATS is a true copy of its log in PostgreSQL, read as an analyst would.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, bail};
use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{DeliverPolicy, pull::OrderedConfig};
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{self, Message};
use contracts::interactions::v1::PurchaseRecorded;
use futures::StreamExt;
use prost::{Message as _, Name as _};
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use time::{Date, OffsetDateTime};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::client::Clients;
use super::service::{PerService, Service};
use super::stack::Stack;
use crate::servers::Servers;

const LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// The events of one log, by partition and in order.
type Order = BTreeMap<i16, Vec<Uuid>>;

/// How many events there are on either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) postgres: u64,
    pub(crate) jetstream: u64,
}

/// A stream compared with its log.
#[derive(Debug, Clone)]
pub(crate) struct Compared {
    pub(crate) counts: Counts,
    /// The last positions of the partitions, summed: what the service itself says.
    pub(crate) heads: u64,
    /// What is wrong: a gap, another order, another event.
    pub(crate) difference: Option<String>,
}

/// What the published purchases add up to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Published {
    pub(crate) purchases: u64,
    pub(crate) revenue_minor: i64,
    pub(crate) customer_days: BTreeSet<(String, Date)>,
}

/// Compares all four, and adds up the purchases that INTERACTIONS carries.
pub(crate) async fn compare(
    servers: &Servers,
    stack: &Stack,
    clients: &Clients,
) -> anyhow::Result<(PerService<Compared>, Published)> {
    let nats = async_nats::connect(servers.nats.url())
        .await
        .context("connecting to NATS")?;
    let jetstream = jetstream::new(nats);
    let mut published = Published::default();
    let mut compared = Vec::new();
    for service in Service::ALL {
        let one = compare_one(service, stack, clients, &jetstream, &mut published);
        let one = one
            .await
            .with_context(|| format!("reading the events of {}", service.name()))?;
        compared.push(one);
    }
    let mut compared = compared.into_iter();
    let compared = PerService::try_new(|_| compared.next().context("one for each service"))?;
    Ok((compared, published))
}

async fn compare_one(
    service: Service,
    stack: &Stack,
    clients: &Clients,
    jetstream: &jetstream::Context,
    published: &mut Published,
) -> anyhow::Result<Compared> {
    let stream = jetstream
        .get_stream(service.name().to_uppercase())
        .await
        .context("looking up the stream")?;
    let heads = clients.heads(service).await?.events;
    wait_for_messages(&stream, heads).await?;
    let (log, mut difference) = read_log(stack.databases.of(service)).await?;
    let (copy, difference_of_copy) = read_stream(&stream, published).await?;
    difference = difference
        .or(difference_of_copy)
        .or_else(|| first_difference(&log, &copy));
    let count = |order: &Order| order.values().map(|events| events.len() as u64).sum();
    Ok(Compared {
        counts: Counts {
            postgres: count(&log),
            jetstream: count(&copy),
        },
        heads,
        difference,
    })
}

/// Waits until the relay is through; what is still missing at the limit will show in the counts.
async fn wait_for_messages(stream: &Stream, expected: u64) -> anyhow::Result<()> {
    let deadline = Instant::now() + LIMIT;
    while messages(stream).await? < expected && Instant::now() < deadline {
        sleep(POLL).await;
    }
    Ok(())
}

async fn messages(stream: &Stream) -> anyhow::Result<u64> {
    let info = stream.get_info().await.context("asking for the stream")?;
    Ok(info.state.messages)
}

async fn read_log(database: &str) -> anyhow::Result<(Order, Option<String>)> {
    let mut connection = PgConnection::connect(database)
        .await
        .context("connecting to PostgreSQL")?;
    let events: Vec<(i16, i64, Uuid)> = sqlx::query_as(
        "select partition, position, event_id from event order by partition, position",
    )
    .fetch_all(&mut connection)
    .await
    .context("reading the events from PostgreSQL")?;
    let mut order = Gapless::new("PostgreSQL");
    for (partition, position, event_id) in events {
        order.add(partition, position, event_id);
    }
    Ok(order.finish())
}

async fn read_stream(
    stream: &Stream,
    published: &mut Published,
) -> anyhow::Result<(Order, Option<String>)> {
    let mut left = messages(stream).await?;
    let mut order = Gapless::new("JetStream");
    if left == 0 {
        return Ok(order.finish());
    }
    let config = OrderedConfig {
        deliver_policy: DeliverPolicy::All,
        ..OrderedConfig::default()
    };
    let consumer = stream.create_consumer(config).await;
    let mut messages = consumer
        .context("creating a consumer")?
        .messages()
        .await
        .context("reading the stream")?;
    while left > 0 {
        let message = timeout(LIMIT, messages.next()).await;
        let Some(message) = message.context("the stream fell silent")? else {
            bail!("the stream ended with {left} messages to come");
        };
        let message = message.context("reading the stream")?;
        let (partition, position, event_id) = place(&message)
            .with_context(|| format!("a message on {} is no event", message.subject))?;
        order.add(partition, position, event_id);
        published.add(&message)?;
        left -= 1;
    }
    Ok(order.finish())
}

/// The place of an event in the log, from the subject `vefa.<tenant>.<service>.<pNN>.<type>` and headers.
fn place(message: &Message) -> Option<(i16, i64, Uuid)> {
    let partition = message.subject.split('.').nth(3)?.strip_prefix('p')?;
    let headers = message.headers.as_ref()?;
    Some((
        partition.parse().ok()?,
        header(headers, "Vefa-Position")?.parse().ok()?,
        header(headers, "ce-id")?.parse().ok()?,
    ))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(async_nats::HeaderValue::as_str)
}

impl Published {
    fn add(&mut self, message: &Message) -> anyhow::Result<()> {
        let type_ = message
            .headers
            .as_ref()
            .and_then(|it| header(it, "ce-type"));
        if type_ != Some(PurchaseRecorded::full_name().as_str()) {
            return Ok(());
        }
        let event = PurchaseRecorded::decode(message.payload.clone())
            .context("a published purchase cannot be decoded")?;
        let seconds = event.occurred_time.unwrap_or_default().seconds;
        let day = OffsetDateTime::from_unix_timestamp(seconds)
            .context("a published purchase has no day")?
            .date();
        self.purchases += 1;
        self.revenue_minor += event.total_minor;
        self.customer_days.insert((event.customer_id, day));
        Ok(())
    }
}

/// Collects events and notes the first that is not the next of its partition.
struct Gapless {
    of: &'static str,
    order: Order,
    difference: Option<String>,
}

impl Gapless {
    fn new(of: &'static str) -> Self {
        Self {
            of,
            order: Order::new(),
            difference: None,
        }
    }

    fn add(&mut self, partition: i16, position: i64, event_id: Uuid) {
        let events = self.order.entry(partition).or_default();
        events.push(event_id);
        let next = i64::try_from(events.len()).unwrap_or(i64::MAX);
        if position != next && self.difference.is_none() {
            let of = self.of;
            self.difference = Some(format!(
                "{of} has position {position} of partition {partition} where {next} is next"
            ));
        }
    }

    fn finish(self) -> (Order, Option<String>) {
        (self.order, self.difference)
    }
}

fn first_difference(log: &Order, copy: &Order) -> Option<String> {
    let partitions: BTreeSet<_> = log.keys().chain(copy.keys()).collect();
    partitions
        .into_iter()
        .find(|partition| log.get(partition) != copy.get(partition))
        .map(|partition| format!("partition {partition} holds other events in JetStream"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(events: &[(i16, i64, u128)]) -> (Order, Option<String>) {
        let mut order = Gapless::new("the log");
        for (partition, position, id) in events {
            order.add(*partition, *position, Uuid::from_u128(*id));
        }
        order.finish()
    }

    #[test]
    fn sees_a_gap_a_repeat_and_a_swap() {
        let good = [(0, 1, 10), (3, 1, 11), (0, 2, 12)];
        assert_eq!(order(&good).1, None);
        for bad in [
            [(0, 1, 10), (0, 3, 11), (0, 4, 12)],
            [(0, 1, 10), (0, 1, 10), (0, 2, 12)],
            [(0, 2, 12), (0, 1, 10), (0, 3, 11)],
        ] {
            assert!(order(&bad).1.is_some(), "{bad:?}");
        }
    }

    #[test]
    fn sees_another_event_and_a_missing_partition() {
        let (log, _) = order(&[(0, 1, 10), (3, 1, 11)]);
        assert_eq!(first_difference(&log, &log), None);
        let (other, _) = order(&[(0, 1, 10), (3, 1, 12)]);
        let (shorter, _) = order(&[(0, 1, 10)]);
        for copy in [other, shorter] {
            let difference = first_difference(&log, &copy).unwrap();
            assert!(difference.contains("partition 3"), "{difference}");
        }
    }
}
