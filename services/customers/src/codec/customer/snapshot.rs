//! The folded state of a customer as it is kept. The log seals it as a whole.

mod mergers;

use std::collections::BTreeMap;

use aggregate::CustomerId;
use contracts::customers::v1 as pb;
use event_log::{Snapshot, timestamp};
use prost::Message as _;
use prost_types::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;

use super::profile;
use crate::{
    domain::{
        Customer, Label, Reference,
        consent::{ConsentChange, ConsentHistory, ConsentScope, Grant, Turn},
        customer::{OwnedIdentifier, Registration},
        erasure::Erasure,
        identifier::{ClaimId, Identifier},
        lifecycle::Lifecycle,
        office::{Office, Owner},
        profile::{Profile, ProfileChange},
        relation::{Period, Relation, RelationId},
        restriction::Restriction,
    },
    wire,
};
use mergers::KeptMergers;

/// Any change of the messages below, or of what events make of a customer, raises the version.
pub(super) const FORMAT: Snapshot<Customer> = Snapshot {
    schema_version: 5,
    encode: |customer| KeptCustomer::from(customer).encode_to_vec(),
    decode: |bytes| KeptCustomer::decode(bytes).ok()?.customer(),
};

#[derive(Clone, PartialEq, prost::Message)]
struct KeptCustomer {
    #[prost(message, optional, tag = "1")]
    registration: Option<KeptRegistration>,
    #[prost(message, required, tag = "2")]
    profile: pb::ProfileUpdated,
    #[prost(message, repeated, tag = "3")]
    identifiers: Vec<KeptIdentifier>,
    #[prost(message, repeated, tag = "4")]
    consents: Vec<KeptConsentChange>,
    #[prost(message, optional, tag = "5")]
    lifecycle: Option<KeptLifecycle>,
    #[prost(message, required, tag = "6")]
    office: KeptOffice,
    #[prost(message, repeated, tag = "7")]
    relations: Vec<KeptRelation>,
    #[prost(message, optional, tag = "8")]
    erasure: Option<KeptErasure>,
    #[prost(message, required, tag = "9")]
    restriction: KeptRestriction,
    #[prost(message, required, tag = "10")]
    mergers: KeptMergers,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeptRegistration {
    #[prost(bytes = "vec", tag = "1")]
    customer: Vec<u8>,
    #[prost(int32, tag = "2")]
    kind: i32,
    #[prost(message, optional, tag = "3")]
    registered_at: Option<Timestamp>,
    #[prost(int32, tag = "4")]
    affiliation: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeptIdentifier {
    #[prost(bytes = "vec", tag = "1")]
    claim: Vec<u8>,
    #[prost(int32, tag = "2")]
    type_: i32,
    #[prost(string, optional, tag = "3")]
    value: Option<String>,
    #[prost(string, tag = "4")]
    system: String,
}

/// Changes of one consent stand in their order.
#[derive(Clone, PartialEq, prost::Message)]
struct KeptConsentChange {
    #[prost(int32, tag = "1")]
    channel: i32,
    #[prost(int32, tag = "2")]
    purpose: i32,
    #[prost(message, optional, tag = "3")]
    at: Option<Timestamp>,
    #[prost(bytes = "vec", optional, tag = "4")]
    event_id: Option<Vec<u8>>,
    /// Where it was given or withdrawn.
    #[prost(string, tag = "5")]
    source: String,
    /// None when it was withdrawn.
    #[prost(message, optional, tag = "6")]
    grant: Option<KeptGrant>,
    /// Who was merged and told it; none where the customer did.
    #[prost(bytes = "vec", optional, tag = "7")]
    original: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeptGrant {
    #[prost(int32, tag = "1")]
    legal_basis: i32,
    #[prost(string, tag = "2")]
    wording_version: String,
    #[prost(string, optional, tag = "3")]
    evidence: Option<String>,
    #[prost(message, optional, tag = "4")]
    expires_at: Option<Timestamp>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeptLifecycle {
    #[prost(int32, tag = "1")]
    stage: i32,
    #[prost(string, optional, tag = "2")]
    reason: Option<String>,
    #[prost(message, optional, tag = "3")]
    since: Option<Timestamp>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeptOffice {
    #[prost(message, optional, tag = "1")]
    owner: Option<KeptOwner>,
    #[prost(message, optional, tag = "2")]
    owner_since: Option<Timestamp>,
    #[prost(string, optional, tag = "3")]
    team: Option<String>,
    #[prost(message, optional, tag = "4")]
    team_since: Option<Timestamp>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeptOwner {
    #[prost(bytes = "vec", tag = "1")]
    employee: Vec<u8>,
    #[prost(string, tag = "2")]
    role: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeptRelation {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(int32, tag = "2")]
    type_: i32,
    #[prost(bytes = "vec", tag = "3")]
    from: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    to: Vec<u8>,
    #[prost(message, optional, tag = "5")]
    start: Option<Timestamp>,
    #[prost(message, optional, tag = "6")]
    end: Option<Timestamp>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeptRestriction {
    /// None where processing is not restricted.
    #[prost(int32, optional, tag = "1")]
    reason: Option<i32>,
    #[prost(message, optional, tag = "2")]
    since: Option<Timestamp>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeptErasure {
    #[prost(int32, tag = "1")]
    reason: i32,
    #[prost(message, optional, tag = "2")]
    at: Option<Timestamp>,
}

impl From<&Customer> for KeptCustomer {
    fn from(customer: &Customer) -> Self {
        Self {
            registration: customer.registration().map(KeptRegistration::from),
            profile: kept_profile(customer.profile()),
            identifiers: customer.identifiers().iter().map(Into::into).collect(),
            consents: customer
                .consents()
                .flat_map(|(scope, history)| {
                    let changes = history.changes().iter();
                    changes.map(move |change| kept_change(scope, change))
                })
                .collect(),
            lifecycle: customer.lifecycle().map(Into::into),
            office: customer.office().into(),
            relations: customer.relations().iter().map(Into::into).collect(),
            erasure: customer.erasure().map(|erasure| KeptErasure {
                reason: wire::erasure_reason(erasure.reason).into(),
                at: Some(timestamp::to_proto(erasure.at)),
            }),
            restriction: customer.restriction().into(),
            mergers: customer.mergers().into(),
        }
    }
}

impl KeptCustomer {
    fn customer(self) -> Option<Customer> {
        let registration = match self.registration {
            None => None,
            Some(registration) => Some(registration.registration()?),
        };
        let mut consents: BTreeMap<ConsentScope, ConsentHistory> = BTreeMap::new();
        for kept in self.consents {
            let (scope, change) = kept.change()?;
            consents.entry(scope).or_default().insert(change);
        }
        Some(Customer::of(
            registration,
            read_profile(self.profile)?,
            self.identifiers
                .into_iter()
                .map(KeptIdentifier::identifier)
                .collect::<Option<_>>()?,
            consents,
            match self.lifecycle {
                None => None,
                Some(lifecycle) => Some(lifecycle.lifecycle()?),
            },
            self.office.office()?,
            self.relations
                .into_iter()
                .map(KeptRelation::relation)
                .collect::<Option<_>>()?,
            match self.erasure {
                None => None,
                Some(erasure) => Some(Erasure {
                    reason: wire::parse_erasure_reason(erasure.reason)?,
                    at: moment(erasure.at)?,
                }),
            },
            self.restriction.restriction()?,
            self.mergers.mergers()?,
        ))
    }
}

impl From<&Restriction> for KeptRestriction {
    fn from(restriction: &Restriction) -> Self {
        let Restriction { reason, since } = restriction;
        Self {
            reason: reason.map(|reason| wire::restriction_reason(reason).into()),
            since: since.map(timestamp::to_proto),
        }
    }
}

impl KeptRestriction {
    fn restriction(self) -> Option<Restriction> {
        Some(Restriction {
            reason: match self.reason {
                None => None,
                Some(reason) => Some(wire::parse_restriction_reason(reason)?),
            },
            since: match self.since {
                None => None,
                Some(since) => Some(moment(Some(since))?),
            },
        })
    }
}

impl From<&Registration> for KeptRegistration {
    fn from(registration: &Registration) -> Self {
        let Registration {
            customer,
            kind,
            affiliation,
            registered_at,
        } = registration;
        Self {
            affiliation: wire::affiliation(*affiliation).into(),
            customer: customer.0.into(),
            kind: wire::kind(*kind).into(),
            registered_at: Some(timestamp::to_proto(*registered_at)),
        }
    }
}

impl KeptRegistration {
    fn registration(self) -> Option<Registration> {
        Some(Registration {
            customer: CustomerId(uuid(&self.customer)?),
            kind: wire::parse_kind(self.kind)?,
            affiliation: wire::parse_affiliation(self.affiliation)?,
            registered_at: moment(self.registered_at)?,
        })
    }
}

impl From<&Lifecycle> for KeptLifecycle {
    fn from(lifecycle: &Lifecycle) -> Self {
        let Lifecycle {
            stage,
            reason,
            since,
        } = lifecycle;
        Self {
            stage: wire::stage(*stage).into(),
            reason: reason.as_ref().map(|reason| reason.as_str().to_owned()),
            since: Some(timestamp::to_proto(*since)),
        }
    }
}

impl KeptLifecycle {
    fn lifecycle(self) -> Option<Lifecycle> {
        Some(Lifecycle {
            stage: wire::parse_stage(self.stage)?,
            reason: self.reason.map(Label::from_stored),
            since: moment(self.since)?,
        })
    }
}

impl From<&Office> for KeptOffice {
    fn from(office: &Office) -> Self {
        let Office {
            owner,
            owner_since,
            team,
            team_since,
        } = office;
        Self {
            owner: owner.as_ref().map(|owner| KeptOwner {
                employee: owner.employee.0.into(),
                role: owner.role.as_str().to_owned(),
            }),
            owner_since: owner_since.map(timestamp::to_proto),
            team: team.as_ref().map(|team| team.as_str().to_owned()),
            team_since: team_since.map(timestamp::to_proto),
        }
    }
}

impl KeptOffice {
    fn office(self) -> Option<Office> {
        let owner = match self.owner {
            None => None,
            Some(owner) => Some(Owner {
                employee: CustomerId(uuid(&owner.employee)?),
                role: Label::from_stored(owner.role),
            }),
        };
        Some(Office {
            owner,
            owner_since: maybe_moment(self.owner_since)?,
            team: self.team.map(Label::from_stored),
            team_since: maybe_moment(self.team_since)?,
        })
    }
}

impl From<&Relation> for KeptRelation {
    fn from(relation: &Relation) -> Self {
        let Relation {
            id,
            type_,
            from,
            to,
            period: Period { start, end },
        } = relation;
        Self {
            id: id.0.into(),
            type_: wire::relation_type(*type_).into(),
            from: from.0.into(),
            to: to.0.into(),
            start: Some(timestamp::to_proto(*start)),
            end: end.map(timestamp::to_proto),
        }
    }
}

impl KeptRelation {
    fn relation(self) -> Option<Relation> {
        Some(Relation {
            id: RelationId(uuid(&self.id)?),
            type_: wire::parse_relation_type(self.type_)?,
            from: CustomerId(uuid(&self.from)?),
            to: CustomerId(uuid(&self.to)?),
            period: Period {
                start: moment(self.start)?,
                end: maybe_moment(self.end)?,
            },
        })
    }
}

/// As what makes it of one of which nothing is known.
fn kept_profile(profile: &Profile) -> pb::ProfileUpdated {
    profile::kept(&ProfileChange::between(&Profile::default(), profile))
}

fn read_profile(kept: pb::ProfileUpdated) -> Option<Profile> {
    let mut profile = Profile::default();
    profile::read_kept(kept).ok()?.apply(&mut profile);
    Some(profile)
}

impl From<&OwnedIdentifier> for KeptIdentifier {
    fn from(owned: &OwnedIdentifier) -> Self {
        let OwnedIdentifier {
            claim,
            type_,
            identifier,
        } = owned;
        let identifier = identifier.as_ref();
        Self {
            claim: claim.0.into(),
            type_: wire::identifier_type(*type_).into(),
            value: identifier.map(|identifier| identifier.value().to_owned()),
            system: identifier
                .map_or_else(String::new, |identifier| identifier.system().to_owned()),
        }
    }
}

impl KeptIdentifier {
    fn identifier(self) -> Option<OwnedIdentifier> {
        let type_ = wire::parse_identifier_type(self.type_)?;
        let system = self.system;
        Some(OwnedIdentifier {
            claim: ClaimId(uuid(&self.claim)?),
            type_,
            identifier: self
                .value
                .map(|value| Identifier::from_stored(type_, value, system)),
        })
    }
}

fn kept_change(scope: ConsentScope, change: &ConsentChange) -> KeptConsentChange {
    let ConsentChange {
        at,
        turn,
        event_id,
        original,
    } = change;
    let (source, grant) = match turn {
        Turn::Withdrawn { source } => (source, None),
        Turn::Given(Grant {
            legal_basis,
            wording_version,
            source,
            evidence,
            expires_at,
        }) => {
            let evidence = evidence.as_ref();
            let grant = KeptGrant {
                legal_basis: wire::legal_basis(*legal_basis).into(),
                wording_version: wording_version.as_str().to_owned(),
                evidence: evidence.map(|evidence| evidence.as_str().to_owned()),
                expires_at: expires_at.map(timestamp::to_proto),
            };
            (source, Some(grant))
        }
    };
    KeptConsentChange {
        channel: wire::channel(scope.channel).into(),
        purpose: wire::purpose(scope.purpose).into(),
        at: Some(timestamp::to_proto(*at)),
        event_id: event_id.map(Into::into),
        original: original.map(|original| original.0.into()),
        source: source.as_str().to_owned(),
        grant,
    }
}

impl KeptConsentChange {
    fn change(self) -> Option<(ConsentScope, ConsentChange)> {
        let scope = ConsentScope {
            channel: wire::parse_channel(self.channel)?,
            purpose: wire::parse_purpose(self.purpose)?,
        };
        let source = Label::from_stored(self.source);
        let turn = match self.grant {
            None => Turn::Withdrawn { source },
            Some(grant) => Turn::Given(Grant {
                legal_basis: wire::parse_legal_basis(grant.legal_basis)?,
                wording_version: Label::from_stored(grant.wording_version),
                source,
                evidence: grant.evidence.map(Reference::from_stored),
                expires_at: maybe_moment(grant.expires_at)?,
            }),
        };
        let event_id = match self.event_id {
            None => None,
            Some(bytes) => Some(uuid(&bytes)?),
        };
        let original = match self.original {
            None => None,
            Some(bytes) => Some(CustomerId(uuid(&bytes)?)),
        };
        let change = ConsentChange {
            at: moment(self.at)?,
            turn,
            event_id,
            original,
        };
        Some((scope, change))
    }
}

fn uuid(bytes: &[u8]) -> Option<Uuid> {
    Uuid::from_slice(bytes).ok()
}

fn moment(moment: Option<Timestamp>) -> Option<OffsetDateTime> {
    timestamp::from_proto(&moment?).ok()
}

/// None within when there was none; none at all when it is no moment.
#[expect(
    clippy::option_option,
    reason = "what may be missing can also be unreadable"
)]
fn maybe_moment(kept: Option<Timestamp>) -> Option<Option<OffsetDateTime>> {
    match kept {
        None => Some(None),
        Some(_) => moment(kept).map(Some),
    }
}
