//! From the log of customers: the profiles that rules look at.

use std::collections::BTreeMap;

use aggregate::CustomerId;
use contracts::customers::v1::{CustomerErased, CustomerKind, CustomerRegistered, ProfileUpdated};
use event_log::{
    DecodeError, Projection, ProjectionError, StoredEvent, Subject, Table, erase, wipe,
};
use sqlx::PgConnection;

use super::{
    Touch, evaluate_late, evaluate_touched, given,
    mergers::{self, Mergers},
    moment, uuid,
};
use crate::{
    domain::rule::Dependencies,
    evaluate::Which,
    progress,
    read_model::facts::{self, Key, Profile, ProfileChange},
};

const CUSTOMER_REGISTERED: &str = "vefa.customers.v1.CustomerRegistered";
const PROFILE_UPDATED: &str = "vefa.customers.v1.ProfileUpdated";
const CUSTOMER_ERASED: &str = "vefa.customers.v1.CustomerErased";
/// What else happens to customers; no rule looks at it.
const IRRELEVANT: [&str; 15] = [
    "vefa.customers.v1.IdentifierAdded",
    "vefa.customers.v1.IdentifierRemoved",
    "vefa.customers.v1.IdentifierClaimed",
    "vefa.customers.v1.IdentifierReleased",
    "vefa.customers.v1.ConsentRecorded",
    "vefa.customers.v1.ConsentWithdrawn",
    "vefa.customers.v1.OwnerAssigned",
    "vefa.customers.v1.OwnerReleased",
    "vefa.customers.v1.TeamAssigned",
    "vefa.customers.v1.LifecycleStageChanged",
    "vefa.customers.v1.RelationAdded",
    "vefa.customers.v1.RelationEnded",
    "vefa.customers.v1.DescendantAdded",
    "vefa.customers.v1.ProcessingRestricted",
    "vefa.customers.v1.RestrictionLifted",
];

/// Keeps the rows of `customer_fact`, and evaluates whoever is new or changed.
#[derive(Clone, Debug)]
pub(crate) struct CustomerFacts;

#[derive(Default)]
struct Batch<'a> {
    registered: BTreeMap<Key, Profile>,
    changed: BTreeMap<Key, ProfileChange>,
    erased: Vec<Subject>,
    mergers: Mergers<'a>,
    touches: Vec<Touch<'a>>,
}

impl<'a> Batch<'a> {
    fn of(events: &'a [StoredEvent]) -> Result<Self, DecodeError> {
        let mut batch = Self::default();
        for event in events {
            match (event.type_.as_str(), event.schema_version) {
                (CUSTOMER_REGISTERED, 1) => batch.register(event)?,
                (PROFILE_UPDATED, 1) => batch.change(event)?,
                (CUSTOMER_ERASED, 1) => batch.erase(event)?,
                (
                    mergers::CUSTOMER_MERGED
                    | mergers::CUSTOMER_UNMERGED
                    | mergers::CUSTOMER_ABSORBED
                    | mergers::CUSTOMER_SEPARATED,
                    1,
                ) => {
                    batch.mergers.add(event)?;
                    batch.touches.append(&mut batch.mergers.touches);
                }
                (type_, 1) if IRRELEVANT.contains(&type_) => {}
                _ => return Err(DecodeError::unknown(event)),
            }
        }
        Ok(batch)
    }

    fn register(&mut self, event: &'a StoredEvent) -> Result<(), DecodeError> {
        let message: CustomerRegistered = event.message()?;
        let kind = match message.kind() {
            CustomerKind::Person => "person",
            CustomerKind::Business => "business",
            CustomerKind::Unspecified => return Err(DecodeError::invalid(event, "kind")),
        };
        let profile = Profile {
            kind,
            registered_at: moment(event, "registered_time", message.registered_time)?,
            locale: given(message.locale),
            time_zone: given(message.time_zone),
            country: given(message.country_code),
        };
        let customer = CustomerId(uuid(event, "customer_id", &message.customer_id)?);
        self.registered
            .insert((event.partition, event.tenant.clone(), customer), profile);
        // Whoever was not known could be selected by any rule, one that counts nothing included.
        self.touch(event, customer, Which::All);
        Ok(())
    }

    /// Who was erased leaves every segment, and no rule looks at it any more.
    fn erase(&mut self, event: &'a StoredEvent) -> Result<(), DecodeError> {
        let message: CustomerErased = event.message()?;
        let customer = CustomerId(uuid(event, "customer_id", &message.customer_id)?);
        self.erased.push(Subject {
            tenant: event.tenant.clone(),
            customer,
        });
        self.touches.push(Touch {
            event,
            customer,
            backfill: false,
            gone: true,
            changes: Which::All,
        });
        Ok(())
    }

    fn change(&mut self, event: &'a StoredEvent) -> Result<(), DecodeError> {
        let message: ProfileUpdated = event.message()?;
        let customer = CustomerId(uuid(event, "customer_id", &message.customer_id)?);
        let change = ProfileChange {
            locale: message.locale.map(given),
            time_zone: message.time_zone.map(given),
            country: message.country_code.map(given),
        };
        let key = (event.partition, event.tenant.clone(), customer);
        match self.registered.get_mut(&key) {
            Some(profile) => profile.change(change),
            None => self.changed.entry(key).or_default().then(change),
        }
        let changes = Dependencies {
            profile: true,
            ..Dependencies::default()
        };
        self.touch(event, customer, Which::Changed(changes));
        Ok(())
    }

    fn touch(&mut self, event: &'a StoredEvent, customer: CustomerId, changes: Which) {
        self.touches.push(Touch {
            event,
            customer,
            backfill: false,
            gone: false,
            changes,
        });
    }

    /// Writes the rows; what is left is whom the events touched.
    async fn write(self, connection: &mut PgConnection) -> Result<Vec<Touch<'a>>, ProjectionError> {
        facts::register(connection, self.registered).await?;
        facts::change_profiles(connection, self.changed).await?;
        self.mergers.turns.write(connection).await?;
        // What is bought is counted on; whose it was nobody can tell any more.
        erase(connection, &self.erased).await?;
        wipe(connection, &["customer_fact"], &self.erased).await?;
        Ok(self.touches)
    }
}

impl Projection for CustomerFacts {
    fn name(&self) -> &'static str {
        "segmentation.customer_facts"
    }

    fn tables(&self) -> &'static [Table] {
        const { &[Table::new("customer_fact")] }
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        let touches = Batch::of(events)?.write(connection).await?;
        evaluate_touched(connection, progress::CUSTOMERS, events, &touches).await
    }

    async fn derive(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        Batch::of(events)?.write(connection).await.map(drop)
    }

    async fn react(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        let touches = Batch::of(events)?.touches;
        evaluate_late(connection, progress::CUSTOMERS, events, &touches).await
    }
}
