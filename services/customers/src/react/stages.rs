//! Reviews of the stage of life: a timer for each customer, which decides on what is known when it fires and is set anew for the end of the
//! silence that it finds.
//!
//! A purchase by whoever is active moves nothing but that end, and sets no timer: the one that is set fires too early and finds out.
//!
//! Whoever writes both timers and rows of purchases writes the timers first, so that nobody waits for another in a circle.

use std::collections::{BTreeMap, BTreeSet};

use aggregate::{CustomerId, Partition, TenantId};
use bytes::Bytes;
use contracts::common::v1::EventMetadata;
use event_log::{
    CommandError, EventLog, Loaded, ProjectionError, Request, Stream, Timer, TimerHandler,
    TimerKey, Write, append_in,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use prost::Message as _;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::rows::{self, Key, Row};
use crate::domain::{
    Customer,
    customer::CustomerCommand,
    lifecycle::{Purchases, SilencePolicy},
};

/// Who appends what follows from purchases and from silence.
pub(crate) const ACTOR: &str = "service:customers";

/// How the key of a timer begins; the customer's id follows.
const KEY: &str = "stage/";

/// Customers loaded at once.
const LOADS_MAX: usize = 8;

/// A review that is due at `due_at`, because of what this metadata stands for: nothing else is kept of the cause.
pub(crate) fn review(
    tenant: &TenantId,
    customer: CustomerId,
    due_at: OffsetDateTime,
    cause: &EventMetadata,
) -> Timer {
    Timer {
        key: TimerKey {
            partition: Partition::of_customer(tenant, customer),
            tenant: tenant.clone(),
            key: format!("{KEY}{customer}"),
        },
        due_at,
        command: cause.encode_to_vec(),
    }
}

/// Reviews customers whose timers are due.
pub(crate) struct Stages {
    log: EventLog,
    policy: SilencePolicy,
}

/// A customer under review.
struct Reviewed {
    loaded: Loaded<Customer>,
    write: Option<Write>,
    /// When silence ends next.
    next: Option<Timer>,
}

impl Stages {
    pub(crate) fn new(log: EventLog, policy: SilencePolicy) -> Self {
        Self { log, policy }
    }

    async fn load(
        &self,
        tenant: &TenantId,
        customer: CustomerId,
    ) -> Result<Loaded<Customer>, ProjectionError> {
        let stream = Stream::of_customer(tenant, customer);
        Ok(self.log.load::<Customer>(&stream).await?)
    }

    fn review(
        &self,
        timer: &Timer,
        customer: CustomerId,
        mut loaded: Loaded<Customer>,
        purchases: Option<Purchases>,
        now: OffsetDateTime,
    ) -> Result<Reviewed, ProjectionError> {
        let tenant = &timer.key.tenant;
        if let Some(survivor) = loaded.state.mergers().survivor {
            // What was bought counts for who goes on, who is looked at in its own time.
            let cause = EventMetadata::decode(timer.command.as_slice()).unwrap_or_default();
            return Ok(Reviewed {
                loaded,
                write: None,
                next: Some(review(tenant, survivor, now, &cause)),
            });
        }
        let request = Request {
            tenant: tenant.clone(),
            metadata: metadata(timer),
            now,
            idempotency: None,
            validate_only: false,
        };
        let command = CustomerCommand::ReviewStage {
            purchases,
            policy: self.policy,
            at: now,
        };
        let append = match loaded.decide(&command, &request) {
            Ok(append) => append,
            Err(CommandError::Failed(error)) => return Err(error.into()),
            // Interactions knows a customer from this log, so that there is one, unless the log was put back to before that.
            Err(
                CommandError::Rejected(_)
                | CommandError::IdempotencyMismatch
                | CommandError::Contended,
            ) => {
                tracing::warn!(%customer, "bought, and is not registered: no stage to review");
                return Ok(Reviewed {
                    loaded,
                    write: None,
                    next: None,
                });
            }
        };
        let silence = loaded
            .state
            .lifecycle()
            .filter(|_| loaded.state.erasure().is_none())
            .and_then(|lifecycle| lifecycle.silence(purchases, &self.policy));
        let next = silence
            .map(|(ends_at, _)| review(tenant, customer, ends_at, &EventMetadata::default()));
        let write = (!append.events.is_empty()).then(|| Write {
            idempotency: None,
            appends: vec![append],
        });
        Ok(Reviewed {
            loaded,
            write,
            next,
        })
    }
}

/// Whom a timer is about. One of another kind is left to a newer version of this program.
fn customer_of(timer: &Timer) -> Result<CustomerId, sqlx::Error> {
    let key = &timer.key.key;
    key.strip_prefix(KEY)
        .and_then(|customer| customer.parse().ok())
        .ok_or_else(|| sqlx::Error::Decode(format!("{key} is no timer of this version").into()))
}

/// What is appended goes on with the correlation and the trace of its cause.
fn metadata(timer: &Timer) -> EventMetadata {
    // What cannot be read is none: it is for tracing, and nothing depends on it.
    let mut metadata =
        EventMetadata::decode(Bytes::copy_from_slice(&timer.command)).unwrap_or_default();
    if metadata.correlation_id.is_empty() {
        metadata.correlation_id = Uuid::now_v7().to_string();
    }
    metadata.actor = ACTOR.to_owned();
    metadata
}

/// The customer and those for whom it goes on: what any of them buys counts.
fn buyers(key: &Key, customer: &Customer) -> impl Iterator<Item = Key> {
    let (tenant, id) = key.clone();
    let ids: Vec<CustomerId> = customer.mergers().ids().collect();
    std::iter::once(id)
        .chain(ids)
        .map(move |id| (tenant.clone(), id))
}

/// What they bought, as far as they bought anything.
fn buyers_of(
    known: &BTreeMap<Key, Purchases>,
    key: &Key,
    customer: &Customer,
) -> impl Iterator<Item = Purchases> {
    buyers(key, customer).filter_map(|buyer| known.get(&buyer).copied())
}

/// Of each who bought, whether a further purchase leaves the stage of who goes on as it is.
fn settled(known: &BTreeMap<Key, Purchases>, reviewed: &BTreeMap<Key, Reviewed>) -> Vec<Row> {
    let mut rows = BTreeMap::new();
    for (key, reviewed) in reviewed {
        let customer = &reviewed.loaded.state;
        let Some(lifecycle) = customer.lifecycle() else {
            continue;
        };
        if customer.mergers().survivor.is_some() {
            continue;
        }
        for key in buyers(key, customer) {
            if let Some(purchases) = known.get(&key) {
                let row = Row {
                    key: key.clone(),
                    purchases: *purchases,
                    settled: lifecycle.is_settled(),
                };
                rows.insert(key, row);
            }
        }
    }
    rows.into_values().collect()
}

impl TimerHandler for Stages {
    async fn fire(
        &self,
        connection: &mut PgConnection,
        timers: &[Timer],
        now: OffsetDateTime,
    ) -> Result<(), ProjectionError> {
        let due = timers
            .iter()
            .map(|timer| Ok(((timer.key.tenant.clone(), customer_of(timer)?), timer)))
            .collect::<Result<BTreeMap<Key, &Timer>, sqlx::Error>>()?;
        let loads = due
            .keys()
            .map(|(tenant, customer)| self.load(tenant, *customer));
        let loaded: Vec<Loaded<Customer>> = stream::iter(loads.collect::<Vec<_>>())
            .buffered(LOADS_MAX)
            .try_collect()
            .await?;
        let buyers: BTreeSet<Key> = due
            .keys()
            .zip(&loaded)
            .flat_map(|(key, loaded)| buyers(key, &loaded.state))
            .collect();
        let known = rows::load(connection, &buyers).await?;
        let mut reviewed = BTreeMap::new();
        for ((key, timer), loaded) in due.into_iter().zip(loaded) {
            let bought = Purchases::of_all(buyers_of(&known, &key, &loaded.state));
            let review = self.review(timer, key.1, loaded, bought, now)?;
            reviewed.insert(key, review);
        }
        let next: Vec<Timer> = reviewed
            .values()
            .filter_map(|reviewed| reviewed.next.clone())
            .collect();
        event_log::schedule_in(connection, &next).await?;
        rows::settle(connection, settled(&known, &reviewed)).await?;
        let writes: Vec<Write> = reviewed
            .into_values()
            .filter_map(|reviewed| reviewed.write)
            .collect();
        if writes.is_empty() {
            return Ok(());
        }
        let appended = append_in(connection, &writes).await?;
        appended.map(drop).ok_or(ProjectionError::Overtaken)
    }
}
