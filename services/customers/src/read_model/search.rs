//! What customers are found by: the rows of `customer_name`, `name_segment` and `customer_block`, which follow from names and identifiers.

mod tables;

use std::collections::{BTreeMap, BTreeSet};

use aggregate::{CustomerId, TenantId};
use event_log::{EventLog, LogError, Subject, note_wiped};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::{Key, ListedCustomer, rows::partition_of};
use crate::domain::{
    customer::CustomerEvent,
    identifier::{ClaimId, Identifier},
    matching::{NameWords, loose_keys, sound},
    profile::{Kind, Profile},
};
use tables::{
    delete_claims, delete_names, delete_sounds, insert_blocks, insert_names, insert_segments,
};

/// What a batch of events changes of it.
#[derive(Default)]
pub(super) struct Changes {
    /// Who is new: nothing is there of them.
    registered: BTreeSet<Key>,
    /// Who may have other names than before.
    renamed: BTreeSet<Key>,
    /// Who has which identifier at the end, or no longer has it, by the claim on it.
    identified: BTreeMap<(Key, ClaimId), Option<Identifier>>,
}

impl Changes {
    /// Takes note of an event.
    pub(super) fn note(&mut self, key: &Key, event: &CustomerEvent) {
        match event {
            CustomerEvent::Registered { .. } => {
                self.registered.insert(key.clone());
            }
            CustomerEvent::ProfileUpdated { change, .. } => {
                if change.renames() && !self.registered.contains(key) {
                    self.renamed.insert(key.clone());
                }
            }
            CustomerEvent::IdentifierAdded { identifier, .. } => {
                let of = (key.clone(), identifier.claim);
                self.identified.insert(of, identifier.identifier.clone());
            }
            CustomerEvent::IdentifierRemoved { claim, .. } => {
                self.identified.insert((key.clone(), *claim), None);
            }
            CustomerEvent::ToldOf { event, .. } => self.note(key, event),
            // Nobody is found who was merged: another goes on for both.
            CustomerEvent::Merged { .. } | CustomerEvent::Unmerged { .. } => {
                if !self.registered.contains(key) {
                    self.renamed.insert(key.clone());
                }
            }
            // Nobody is found by anything else.
            CustomerEvent::ConsentRecorded { .. }
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
            | CustomerEvent::Absorbed { .. }
            | CustomerEvent::Separated { .. }
            | CustomerEvent::Erased { .. } => {}
        }
    }

    /// Writes the rows; `customers` are as the list has them now, all that are named here among them.
    pub(super) async fn save(
        self,
        connection: &mut PgConnection,
        log: &EventLog,
        customers: &BTreeMap<Key, ListedCustomer>,
    ) -> Result<(), LogError> {
        let mut wanted = Rows::default();
        for key in self.registered.iter().chain(&self.renamed) {
            let listed = customers.get(key);
            if let Some(customer) = listed.filter(|customer| customer.survivor.is_none()) {
                wanted.add_names(key, &customer.profile);
                if let Some(block) = sound_block(customer.kind, &customer.profile) {
                    wanted.blocks.insert((key.clone(), block, NO_CLAIM));
                }
            }
        }
        delete_names(connection, &self.renamed, &wanted.rotations).await?;
        insert_names(connection, &wanted.rotations).await?;
        insert_segments(connection, &wanted.words).await?;
        let mut removed = BTreeSet::new();
        for ((key, claim), identifier) in &self.identified {
            let Some(identifier) = identifier else {
                removed.insert((key.clone(), *claim));
                continue;
            };
            for block in identifier_blocks(log, &key.0, identifier).await? {
                wanted.blocks.insert((key.clone(), block, *claim));
            }
        }
        delete_claims(connection, &removed).await?;
        delete_sounds(connection, &self.renamed, &wanted.blocks).await?;
        insert_blocks(connection, &wanted.blocks).await?;
        Ok(())
    }
}

/// Removes all by which those who were erased are found, and notes it for the receipt.
pub(super) async fn wipe(
    connection: &mut PgConnection,
    erased: &[Subject],
) -> Result<(), sqlx::Error> {
    event_log::wipe(connection, &["customer_block"], erased).await?;
    for subject in erased {
        let key = BTreeSet::from([(subject.tenant.clone(), subject.customer)]);
        let rows = delete_names(connection, &key, &BTreeSet::new()).await?;
        note_wiped(connection, "customer_name", &[(subject.clone(), rows)]).await?;
    }
    Ok(())
}

/// The block of customers whose names sound like this: the first given and the last family name, or the first two words of a business.
pub(super) fn sound_block(kind: Kind, profile: &Profile) -> Option<String> {
    let words = match kind {
        Kind::Person => {
            let given = NameWords::of_name(profile.given_name.as_ref());
            let family = NameWords::of_name(profile.family_name.as_ref());
            let first = given.as_slice().first().cloned();
            [first, family.as_slice().last().cloned()]
        }
        Kind::Business => {
            let legal = NameWords::of_name(profile.legal_name.as_ref());
            let mut words = legal.as_slice().iter().cloned();
            [words.next(), words.next()]
        }
    };
    let mut sounds: Vec<String> = words
        .iter()
        .flatten()
        .map(|word| sound(word))
        .filter(|sound| !sound.is_empty())
        .collect();
    // A given name in the field of the family name is the same.
    sounds.sort_unstable();
    (!sounds.is_empty()).then(|| format!("s:{}", sounds.join(":")))
}

/// The blocks of customers who share an identifier, compared loosely: digests that are of no use to whoever has not the tenant's key.
pub(super) async fn identifier_blocks(
    log: &EventLog,
    tenant: &TenantId,
    identifier: &Identifier,
) -> Result<Vec<String>, LogError> {
    let mut blocks = Vec::new();
    for text in loose_keys(identifier) {
        let digest = log
            .keys()
            .digest(tenant, "loose identifier", text.as_bytes());
        let digest = digest.await?;
        let (id, _) = digest.split_first_chunk().expect("a digest has 32 bytes");
        blocks.push(format!("{IDENTIFIER_BLOCK}{}", Uuid::from_bytes(*id)));
    }
    Ok(blocks)
}

/// In place of the claim where a block follows from no identifier.
const NO_CLAIM: ClaimId = ClaimId(Uuid::nil());

/// How the block of an identifier begins.
pub(super) const IDENTIFIER_BLOCK: &str = "i:";

#[derive(Default)]
struct Rows {
    rotations: BTreeSet<(Key, String)>,
    /// By partition: words are kept for each.
    words: BTreeSet<(i16, TenantId, String)>,
    /// With the claim on the identifier that a block follows from.
    blocks: BTreeSet<(Key, String, ClaimId)>,
}

impl Rows {
    fn add_names(&mut self, key: &Key, profile: &Profile) {
        let words = NameWords::of_profile(profile);
        for rotation in words.rotations() {
            self.rotations.insert((key.clone(), rotation));
        }
        let (tenant, customer) = key;
        for word in words.as_slice() {
            let partition = partition_of(tenant, *customer);
            self.words.insert((partition, tenant.clone(), word.clone()));
        }
    }
}

/// The id of a customer as it stands in a row.
pub(super) fn customer_of(row: &sqlx::postgres::PgRow) -> Result<CustomerId, sqlx::Error> {
    row.try_get("customer_id").map(CustomerId)
}
