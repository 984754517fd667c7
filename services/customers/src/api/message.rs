//! State as the API shows it.

use contracts::{common::v1::Money, customers::v1 as pb};
use event_log::timestamp;
use time::OffsetDateTime;

use crate::{
    domain::{
        Customer, Label, Name,
        address::Addresses,
        consent::{ConsentHistory, ConsentScope, Turn},
        customer::OwnedIdentifier,
        erasure::Erasure,
        identifier::{Identifier, IdentifierType},
        lifecycle::Lifecycle,
        office::Office,
        place::{Country, Locale, Region, TimeZone},
        profile::Profile,
        relation::Relation,
        restriction::Restriction,
    },
    read_model::ListedCustomer,
    wire,
};

/// The version of a customer as an opaque tag.
pub(super) fn etag(version: i64) -> String {
    version.to_string()
}

/// A customer in full, with the consents that stand at a moment; none of somebody who is not registered.
pub(super) fn customer(
    customer: &Customer,
    etag: String,
    at: OffsetDateTime,
) -> Option<pb::Customer> {
    let registration = customer.registration()?;
    Some(pb::Customer {
        customer_id: registration.customer.to_string(),
        kind: wire::kind(registration.kind).into(),
        profile: Some(profile(customer.profile())),
        identifiers: customer.identifiers().iter().map(identifier).collect(),
        consents: customer
            .consents()
            .filter_map(|(scope, history)| consent(scope, history, at))
            .collect(),
        registered_time: Some(timestamp::to_proto(registration.registered_at)),
        etag,
        affiliation: wire::affiliation(registration.affiliation).into(),
        lifecycle: customer.lifecycle().map(lifecycle),
        owner: owner(customer.office()),
        team: team(customer.office()),
        relations: customer
            .relations()
            .iter()
            .filter(|relation| relation.period.end.is_none())
            .filter(|relation| {
                !customer
                    .mergers()
                    .has(relation.other_than(registration.customer))
            })
            .map(relation)
            .collect(),
        erasure: customer.erasure().map(erasure),
        restriction: restriction(customer.restriction()),
        absorbed_customer_ids: customer
            .mergers()
            .ids()
            .map(|absorbed| absorbed.to_string())
            .collect(),
    })
}

/// A customer of a list, without identifiers, consents, relations, restriction and those who were merged into it.
pub(super) fn listed(listed: &ListedCustomer) -> pb::Customer {
    pb::Customer {
        customer_id: listed.customer.to_string(),
        kind: wire::kind(listed.kind).into(),
        profile: Some(profile(&listed.profile)),
        identifiers: Vec::new(),
        consents: Vec::new(),
        registered_time: Some(timestamp::to_proto(listed.registered_at)),
        etag: etag(listed.version),
        affiliation: wire::affiliation(listed.affiliation).into(),
        lifecycle: Some(lifecycle(&listed.lifecycle)),
        owner: owner(&listed.office),
        team: team(&listed.office),
        relations: Vec::new(),
        erasure: None,
        restriction: None,
        absorbed_customer_ids: Vec::new(),
    }
}

fn restriction(restriction: &Restriction) -> Option<pb::Restriction> {
    Some(pb::Restriction {
        reason: wire::restriction_reason(restriction.reason?).into(),
        since_time: restriction.since.map(timestamp::to_proto),
    })
}

/// That somebody was erased.
pub(super) fn erasure(erasure: &Erasure) -> pb::Erasure {
    pb::Erasure {
        reason: wire::erasure_reason(erasure.reason).into(),
        erased_time: Some(timestamp::to_proto(erasure.at)),
    }
}

/// A relation, whichever of the two is looked at.
pub(super) fn relation(relation: &Relation) -> pb::Relation {
    pb::Relation {
        relation_id: relation.id.0.to_string(),
        r#type: wire::relation_type(relation.type_).into(),
        customer_id: relation.from.to_string(),
        related_customer_id: relation.to.to_string(),
        start_time: Some(timestamp::to_proto(relation.period.start)),
        end_time: relation.period.end.map(timestamp::to_proto),
    }
}

fn lifecycle(lifecycle: &Lifecycle) -> pb::Lifecycle {
    pb::Lifecycle {
        stage: wire::stage(lifecycle.stage).into(),
        reason: lifecycle
            .reason
            .as_ref()
            .map_or("", Label::as_str)
            .to_owned(),
        since_time: Some(timestamp::to_proto(lifecycle.since)),
    }
}

fn owner(office: &Office) -> Option<pb::Owner> {
    let owner = office.owner.as_ref()?;
    Some(pb::Owner {
        employee_id: owner.employee.to_string(),
        role: owner.role.as_str().to_owned(),
        since_time: office.owner_since.map(timestamp::to_proto),
    })
}

fn team(office: &Office) -> String {
    office.team.as_ref().map_or("", Label::as_str).to_owned()
}

/// An identifier; its value is empty once the customer was erased.
pub(super) fn identifier(owned: &OwnedIdentifier) -> pb::Identifier {
    shown(owned.type_, owned.identifier.as_ref())
}

/// An identifier, whether anybody has it or not.
pub(super) fn shown(type_: IdentifierType, identifier: Option<&Identifier>) -> pb::Identifier {
    let (value, system) = identifier.map_or(("", ""), |identifier| {
        (identifier.value(), identifier.system())
    });
    pb::Identifier {
        r#type: wire::identifier_type(type_).into(),
        value: value.to_owned(),
        system: system.to_owned(),
    }
}

fn profile(profile: &Profile) -> pb::Profile {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    pb::Profile {
        given_name: text(profile.given_name.as_ref().map(Name::as_str)),
        family_name: text(profile.family_name.as_ref().map(Name::as_str)),
        legal_name: text(profile.legal_name.as_ref().map(Name::as_str)),
        locale: text(profile.locale.as_ref().map(Locale::as_str)),
        time_zone: text(profile.time_zone.as_ref().map(TimeZone::as_str)),
        country_code: text(profile.country.as_ref().map(Country::as_str)),
        formal_address: text(profile.formal_address.as_ref().map(Name::as_str)),
        preferred_name: text(profile.preferred_name.as_ref().map(Name::as_str)),
        birth_date: profile
            .birth_date
            .map(|date| date.to_string())
            .unwrap_or_default(),
        gender: profile
            .gender
            .map_or(0, |gender| wire::gender(gender).into()),
        income_band: text(profile.income_band.as_ref().map(Label::as_str)),
        occupation: text(profile.occupation.as_ref().map(Name::as_str)),
        sector: text(profile.sector.as_ref().map(Label::as_str)),
        company_size: profile
            .company_size
            .map_or(0, |size| wire::company_size(size).into()),
        yearly_capacity: profile.yearly_capacity.as_ref().map(|capacity| Money {
            currency_code: capacity.currency_code().to_owned(),
            amount_minor: capacity.amount_minor(),
        }),
        region_code: text(profile.region.as_ref().map(Region::as_str)),
        addresses: profile
            .addresses
            .iter()
            .flat_map(Addresses::as_slice)
            .map(wire::address)
            .collect(),
    }
}

/// The state at a moment after the last change. A withdrawn consent keeps the basis and wording of what was withdrawn.
fn consent(
    scope: ConsentScope,
    history: &ConsentHistory,
    at: OffsetDateTime,
) -> Option<pb::Consent> {
    let last = history.last()?;
    let grant = history.last_grant()?;
    let (granted, source) = match &last.turn {
        Turn::Given(grant) => (grant.lasts_at(at), &grant.source),
        Turn::Withdrawn { source } => (false, source),
    };
    Some(pb::Consent {
        channel: wire::channel(scope.channel).into(),
        purpose: wire::purpose(scope.purpose).into(),
        granted,
        legal_basis: wire::legal_basis(grant.legal_basis).into(),
        wording_version: grant.wording_version.as_str().to_owned(),
        source: source.as_str().to_owned(),
        effective_time: Some(timestamp::to_proto(last.at)),
        event_id: last.event_id.map(|id| id.to_string()).unwrap_or_default(),
        expire_time: grant.expires_at.map(timestamp::to_proto),
    })
}
