//! The list of customers: its rows, which follow the log, and the queries that page and search through them.

mod candidates;
mod filter;
mod find;
mod listing;
mod rows;
mod search;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aggregate::{CustomerId, TenantId};
use contracts::common::v1::EventMetadata;
use event_log::{
    EventLog, Projection, ProjectionError, SealError, Stored as _, StoredEvent, Subject,
    SubjectCipher, Table, Timer, note_wiped, schedule_in,
};
use service::clock;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    codec::{
        CUSTOMER_ABSORBED, CUSTOMER_SEPARATED, CUSTOMER_UNMERGED, LIFECYCLE_STAGE_CHANGED,
        is_of_claim,
    },
    domain::{
        Customer,
        customer::CustomerEvent,
        lifecycle::Lifecycle,
        office::Office,
        profile::{Affiliation, Kind, Profile},
    },
    react::{ACTOR, review},
};

pub(crate) use candidates::candidates;
pub(crate) use filter::{Column, Comparison, Condition, Value};
pub(crate) use find::{Found, Rank, by_id, by_prefix, by_typos};
pub(crate) use listing::{Order, Place, Sort, page};
pub(crate) use rows::some;

/// The table of the rows.
pub(crate) const TABLE: &str = "customer_list";

/// Keeps the rows of `customer_list`, and those by which customers are found.
#[derive(Clone)]
pub(crate) struct CustomerList {
    log: EventLog,
}

/// One customer of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedCustomer {
    pub(crate) customer: CustomerId,
    pub(crate) kind: Kind,
    pub(crate) affiliation: Affiliation,
    pub(crate) profile: Profile,
    pub(crate) registered_at: OffsetDateTime,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) office: Office,
    pub(crate) version: i64,
    /// Somebody who was erased has a row, and is not listed.
    pub(crate) erased_at: Option<OffsetDateTime>,
    /// Nor is somebody for whom another goes on.
    pub(crate) survivor: Option<CustomerId>,
}

type Key = (TenantId, CustomerId);

impl CustomerList {
    pub(crate) fn new(log: EventLog) -> Self {
        Self { log }
    }

    /// The ciphers of all whom these events are about.
    async fn ciphers(
        &self,
        events: &[&StoredEvent],
    ) -> Result<HashMap<Key, SubjectCipher>, ProjectionError> {
        let mut subjects: BTreeMap<&TenantId, BTreeSet<Uuid>> = BTreeMap::new();
        for event in events {
            subjects
                .entry(&event.tenant)
                .or_default()
                .insert(event.stream_id.0);
        }
        let mut ciphers = HashMap::new();
        for (tenant, subjects) in subjects {
            let subjects: Vec<_> = subjects.into_iter().map(CustomerId).collect();
            let found = self.log.keys().ciphers(tenant, &subjects).await;
            for (customer, cipher) in found.map_err(event_log::LogError::from)? {
                ciphers.insert((tenant.clone(), customer), cipher);
            }
        }
        Ok(ciphers)
    }
}

impl Projection for CustomerList {
    fn name(&self) -> &'static str {
        "customers.list"
    }

    /// Version 2 came with the rows by which customers are found, version 3 with the claims that these follow from, version 4 with the whole of the profile.
    fn version(&self) -> i32 {
        4
    }

    fn tables(&self) -> &'static [Table] {
        const {
            &[
                Table::new(TABLE),
                Table::new("customer_name"),
                Table::new("name_segment"),
                Table::new("customer_block"),
            ]
        }
    }

    /// What somebody says of a customer's stage is reviewed, so that silence is waited for from then on; and whoever comes to have other purchases by a merger.
    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        self.derive(connection, events).await?;
        self.react(connection, events).await
    }

    async fn react(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        let reviews: Vec<_> = events.iter().filter_map(to_be_reviewed).collect();
        schedule_in(connection, &reviews).await?;
        Ok(())
    }

    async fn derive(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        // A claim is no customer, and who owns it stands in the customer's stream too.
        let events: Vec<_> = events.iter().filter(|event| !is_of_claim(event)).collect();
        let ciphers = self.ciphers(&events).await?;
        let keys: BTreeSet<Key> = events.iter().map(|event| key_of(event)).collect();
        let mut customers = rows::load(connection, &keys).await?;
        let mut found_by = search::Changes::default();
        let mut erased = Vec::new();
        for event in events {
            let key = key_of(event);
            // The key is stored with the first event that it seals; a destroyed one is still there, and opens nothing.
            let cipher = ciphers
                .get(&key)
                .ok_or(event_log::LogError::Seal(SealError::Destroyed))?;
            let told = Customer::decode(event, cipher)?;
            if let CustomerEvent::Erased { .. } = &told {
                let (tenant, customer) = key.clone();
                erased.push(Subject { tenant, customer });
            }
            found_by.note(&key, &told);
            match customers.get_mut(&key) {
                Some(customer) if customer.version >= event.version => {}
                Some(customer) => customer.evolve(&told, event.version),
                None => {
                    // Whatever comes before the registration comes from a log that is not in order.
                    let listed =
                        ListedCustomer::registered(&told).ok_or(sqlx::Error::RowNotFound)?;
                    customers.insert(key, listed);
                }
            }
        }
        rows::save(connection, &customers).await?;
        found_by.save(connection, &self.log, &customers).await?;
        let cleared: Vec<(Subject, u64)> =
            erased.iter().map(|subject| (subject.clone(), 1)).collect();
        note_wiped(connection, TABLE, &cleared).await?;
        search::wipe(connection, &erased).await?;
        Ok(())
    }
}

/// A review because somebody told the customer's stage, or because purchases of another count with its own now, or no longer; none where it was a review that
/// told the stage.
fn to_be_reviewed(event: &StoredEvent) -> Option<Timer> {
    let because = [
        LIFECYCLE_STAGE_CHANGED,
        CUSTOMER_ABSORBED,
        CUSTOMER_SEPARATED,
        CUSTOMER_UNMERGED,
    ];
    if !because.contains(&event.type_.as_str()) {
        return None;
    }
    // Metadata that cannot be read is none: it is for tracing, and a review too many changes nothing.
    let metadata = event.metadata().unwrap_or_default();
    if metadata.actor == ACTOR {
        return None;
    }
    let cause = EventMetadata {
        causation_id: event.event_id.to_string(),
        ..metadata
    };
    let customer = CustomerId(event.stream_id.0);
    Some(review(&event.tenant, customer, clock::now(), &cause))
}

fn key_of(event: &StoredEvent) -> Key {
    (event.tenant.clone(), CustomerId(event.stream_id.0))
}

impl ListedCustomer {
    fn registered(event: &CustomerEvent) -> Option<Self> {
        match event {
            CustomerEvent::Registered {
                customer,
                kind,
                affiliation,
                profile,
                registered_at,
            } => Some(Self {
                customer: *customer,
                kind: *kind,
                affiliation: *affiliation,
                profile: profile.clone(),
                registered_at: *registered_at,
                lifecycle: Lifecycle::begun(*registered_at),
                office: Office::default(),
                version: 1,
                erased_at: None,
                survivor: None,
            }),
            CustomerEvent::ProfileUpdated { .. }
            | CustomerEvent::IdentifierAdded { .. }
            | CustomerEvent::ConsentRecorded { .. }
            | CustomerEvent::ConsentWithdrawn { .. }
            | CustomerEvent::OwnerAssigned { .. }
            | CustomerEvent::OwnerReleased { .. }
            | CustomerEvent::TeamAssigned { .. }
            | CustomerEvent::RelationAdded { .. }
            | CustomerEvent::RelationEnded { .. }
            | CustomerEvent::DescendantAdded { .. }
            | CustomerEvent::LifecycleStageChanged { .. }
            | CustomerEvent::ProcessingRestricted { .. }
            | CustomerEvent::RestrictionLifted { .. }
            | CustomerEvent::IdentifierRemoved { .. }
            | CustomerEvent::Merged { .. }
            | CustomerEvent::Unmerged { .. }
            | CustomerEvent::Absorbed { .. }
            | CustomerEvent::Separated { .. }
            | CustomerEvent::ToldOf { .. }
            | CustomerEvent::Erased { .. } => None,
        }
    }

    fn evolve(&mut self, event: &CustomerEvent, version: i64) {
        match event {
            // Whoever told it, it is what the profile says; what a separation takes from it is told before.
            CustomerEvent::ToldOf { event, .. } => self.evolve(event, version),
            CustomerEvent::Merged { survivor, .. } => self.survivor = Some(*survivor),
            CustomerEvent::Unmerged { .. } => self.survivor = None,
            CustomerEvent::ProfileUpdated { change, .. } => change.apply(&mut self.profile),
            CustomerEvent::OwnerAssigned {
                owner, assigned_at, ..
            } => self.office.set_owner(Some(owner.clone()), *assigned_at),
            CustomerEvent::OwnerReleased { released_at, .. } => {
                self.office.set_owner(None, *released_at);
            }
            CustomerEvent::TeamAssigned {
                team, assigned_at, ..
            } => self.office.set_team(team.clone(), *assigned_at),
            CustomerEvent::LifecycleStageChanged { lifecycle, .. } => {
                self.lifecycle = lifecycle.clone();
            }
            CustomerEvent::Erased { erasure, .. } => {
                self.profile = Profile::default();
                self.office = Office::default();
                self.lifecycle.reason = None;
                self.erased_at = Some(erasure.at);
            }
            // A list shows neither identifiers nor consents nor relations nor restrictions, nor who was merged; the version counts them.
            CustomerEvent::Registered { .. }
            | CustomerEvent::IdentifierRemoved { .. }
            | CustomerEvent::Absorbed { .. }
            | CustomerEvent::Separated { .. }
            | CustomerEvent::RelationAdded { .. }
            | CustomerEvent::RelationEnded { .. }
            | CustomerEvent::DescendantAdded { .. }
            | CustomerEvent::ProcessingRestricted { .. }
            | CustomerEvent::RestrictionLifted { .. }
            | CustomerEvent::IdentifierAdded { .. }
            | CustomerEvent::ConsentRecorded { .. }
            | CustomerEvent::ConsentWithdrawn { .. } => {}
        }
        self.version = version;
    }
}
