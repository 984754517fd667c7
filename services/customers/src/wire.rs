//! The domain's enums as they stand in protobuf, and back. Their numbers are also what the read model stores.

use contracts::customers::v1 as pb;

use crate::domain::{
    Name,
    address::{Address, AddressType},
    consent::{Channel, LegalBasis, Purpose},
    erasure::ErasureReason,
    identifier::IdentifierType,
    lifecycle::Stage,
    person::Gender,
    profile::{Affiliation, Kind},
    relation::RelationType,
    restriction::RestrictionReason,
    trade::CompanySize,
};

pub(crate) fn kind(kind: Kind) -> pb::CustomerKind {
    match kind {
        Kind::Person => pb::CustomerKind::Person,
        Kind::Business => pb::CustomerKind::Business,
    }
}

pub(crate) fn parse_kind(number: i32) -> Option<Kind> {
    match pb::CustomerKind::try_from(number).ok()? {
        pb::CustomerKind::Unspecified => None,
        pb::CustomerKind::Person => Some(Kind::Person),
        pb::CustomerKind::Business => Some(Kind::Business),
    }
}

pub(crate) fn affiliation(affiliation: Affiliation) -> pb::CustomerAffiliation {
    match affiliation {
        Affiliation::External => pb::CustomerAffiliation::External,
        Affiliation::Internal => pb::CustomerAffiliation::Internal,
    }
}

/// Who says nothing means an external customer.
pub(crate) fn parse_affiliation(number: i32) -> Option<Affiliation> {
    match pb::CustomerAffiliation::try_from(number).ok()? {
        pb::CustomerAffiliation::Unspecified | pb::CustomerAffiliation::External => {
            Some(Affiliation::External)
        }
        pb::CustomerAffiliation::Internal => Some(Affiliation::Internal),
    }
}

pub(crate) fn gender(gender: Gender) -> pb::Gender {
    match gender {
        Gender::Female => pb::Gender::Female,
        Gender::Male => pb::Gender::Male,
        Gender::Other => pb::Gender::Other,
    }
}

pub(crate) fn parse_gender(number: i32) -> Option<Gender> {
    match pb::Gender::try_from(number).ok()? {
        pb::Gender::Unspecified => None,
        pb::Gender::Female => Some(Gender::Female),
        pb::Gender::Male => Some(Gender::Male),
        pb::Gender::Other => Some(Gender::Other),
    }
}

pub(crate) fn company_size(size: CompanySize) -> pb::CompanySize {
    match size {
        CompanySize::Micro => pb::CompanySize::Micro,
        CompanySize::Small => pb::CompanySize::Small,
        CompanySize::Medium => pb::CompanySize::Medium,
        CompanySize::Large => pb::CompanySize::Large,
    }
}

pub(crate) fn parse_company_size(number: i32) -> Option<CompanySize> {
    match pb::CompanySize::try_from(number).ok()? {
        pb::CompanySize::Unspecified => None,
        pb::CompanySize::Micro => Some(CompanySize::Micro),
        pb::CompanySize::Small => Some(CompanySize::Small),
        pb::CompanySize::Medium => Some(CompanySize::Medium),
        pb::CompanySize::Large => Some(CompanySize::Large),
    }
}

pub(crate) fn address_type(type_: AddressType) -> pb::AddressType {
    match type_ {
        AddressType::Any => pb::AddressType::Unspecified,
        AddressType::Home => pb::AddressType::Home,
        AddressType::Work => pb::AddressType::Work,
        AddressType::Billing => pb::AddressType::Billing,
        AddressType::Delivery => pb::AddressType::Delivery,
    }
}

pub(crate) fn parse_address_type(number: i32) -> Option<AddressType> {
    match pb::AddressType::try_from(number).ok()? {
        pb::AddressType::Unspecified => Some(AddressType::Any),
        pb::AddressType::Home => Some(AddressType::Home),
        pb::AddressType::Work => Some(AddressType::Work),
        pb::AddressType::Billing => Some(AddressType::Billing),
        pb::AddressType::Delivery => Some(AddressType::Delivery),
    }
}

/// An address, in requests, answers and stored events alike.
pub(crate) fn address(address: &Address) -> pb::PostalAddress {
    let text = |name: &Option<Name>| name.as_ref().map_or("", Name::as_str).to_owned();
    pb::PostalAddress {
        r#type: address_type(address.type_).into(),
        address_lines: address
            .lines
            .iter()
            .map(|line| line.as_str().to_owned())
            .collect(),
        locality: text(&address.locality),
        administrative_area: text(&address.administrative_area),
        postal_code: text(&address.postal_code),
        country_code: address.country.as_str().to_owned(),
    }
}

pub(crate) fn stage(stage: Stage) -> pb::LifecycleStage {
    match stage {
        Stage::Prospect => pb::LifecycleStage::Prospect,
        Stage::Active => pb::LifecycleStage::Active,
        Stage::Lapsed => pb::LifecycleStage::Lapsed,
        Stage::Lost => pb::LifecycleStage::Lost,
        Stage::WonBack => pb::LifecycleStage::WonBack,
    }
}

pub(crate) fn parse_stage(number: i32) -> Option<Stage> {
    match pb::LifecycleStage::try_from(number).ok()? {
        pb::LifecycleStage::Unspecified => None,
        pb::LifecycleStage::Prospect => Some(Stage::Prospect),
        pb::LifecycleStage::Active => Some(Stage::Active),
        pb::LifecycleStage::Lapsed => Some(Stage::Lapsed),
        pb::LifecycleStage::Lost => Some(Stage::Lost),
        pb::LifecycleStage::WonBack => Some(Stage::WonBack),
    }
}

pub(crate) fn erasure_reason(reason: ErasureReason) -> pb::ErasureReason {
    match reason {
        ErasureReason::SubjectRequest => pb::ErasureReason::SubjectRequest,
        ErasureReason::RetentionExpired => pb::ErasureReason::RetentionExpired,
        ErasureReason::LegalOrder => pb::ErasureReason::LegalOrder,
    }
}

pub(crate) fn parse_erasure_reason(number: i32) -> Option<ErasureReason> {
    match pb::ErasureReason::try_from(number).ok()? {
        pb::ErasureReason::Unspecified => None,
        pb::ErasureReason::SubjectRequest => Some(ErasureReason::SubjectRequest),
        pb::ErasureReason::RetentionExpired => Some(ErasureReason::RetentionExpired),
        pb::ErasureReason::LegalOrder => Some(ErasureReason::LegalOrder),
    }
}

pub(crate) fn restriction_reason(reason: RestrictionReason) -> pb::RestrictionReason {
    match reason {
        RestrictionReason::AccuracyContested => pb::RestrictionReason::AccuracyContested,
        RestrictionReason::ProcessingUnlawful => pb::RestrictionReason::ProcessingUnlawful,
        RestrictionReason::LegalClaims => pb::RestrictionReason::LegalClaims,
        RestrictionReason::ObjectionPending => pb::RestrictionReason::ObjectionPending,
    }
}

pub(crate) fn parse_restriction_reason(number: i32) -> Option<RestrictionReason> {
    match pb::RestrictionReason::try_from(number).ok()? {
        pb::RestrictionReason::Unspecified => None,
        pb::RestrictionReason::AccuracyContested => Some(RestrictionReason::AccuracyContested),
        pb::RestrictionReason::ProcessingUnlawful => Some(RestrictionReason::ProcessingUnlawful),
        pb::RestrictionReason::LegalClaims => Some(RestrictionReason::LegalClaims),
        pb::RestrictionReason::ObjectionPending => Some(RestrictionReason::ObjectionPending),
    }
}

pub(crate) fn identifier_type(type_: IdentifierType) -> pb::IdentifierType {
    match type_ {
        IdentifierType::Email => pb::IdentifierType::Email,
        IdentifierType::Phone => pb::IdentifierType::Phone,
        IdentifierType::External => pb::IdentifierType::External,
        IdentifierType::Tckn => pb::IdentifierType::Tckn,
        IdentifierType::Vkn => pb::IdentifierType::Vkn,
    }
}

pub(crate) fn parse_identifier_type(number: i32) -> Option<IdentifierType> {
    match pb::IdentifierType::try_from(number).ok()? {
        pb::IdentifierType::Unspecified => None,
        pb::IdentifierType::Email => Some(IdentifierType::Email),
        pb::IdentifierType::Phone => Some(IdentifierType::Phone),
        pb::IdentifierType::External => Some(IdentifierType::External),
        pb::IdentifierType::Tckn => Some(IdentifierType::Tckn),
        pb::IdentifierType::Vkn => Some(IdentifierType::Vkn),
    }
}

pub(crate) fn channel(channel: Channel) -> pb::Channel {
    match channel {
        Channel::Email => pb::Channel::Email,
        Channel::Sms => pb::Channel::Sms,
        Channel::Phone => pb::Channel::Phone,
        Channel::Post => pb::Channel::Post,
    }
}

pub(crate) fn parse_channel(number: i32) -> Option<Channel> {
    match pb::Channel::try_from(number).ok()? {
        pb::Channel::Unspecified => None,
        pb::Channel::Email => Some(Channel::Email),
        pb::Channel::Sms => Some(Channel::Sms),
        pb::Channel::Phone => Some(Channel::Phone),
        pb::Channel::Post => Some(Channel::Post),
    }
}

pub(crate) fn purpose(purpose: Purpose) -> pb::Purpose {
    match purpose {
        Purpose::Marketing => pb::Purpose::Marketing,
        Purpose::Information => pb::Purpose::Information,
        Purpose::Research => pb::Purpose::Research,
    }
}

pub(crate) fn parse_purpose(number: i32) -> Option<Purpose> {
    match pb::Purpose::try_from(number).ok()? {
        pb::Purpose::Unspecified => None,
        pb::Purpose::Marketing => Some(Purpose::Marketing),
        pb::Purpose::Information => Some(Purpose::Information),
        pb::Purpose::Research => Some(Purpose::Research),
    }
}

pub(crate) fn legal_basis(basis: LegalBasis) -> pb::LegalBasis {
    match basis {
        LegalBasis::Consent => pb::LegalBasis::Consent,
        LegalBasis::Contract => pb::LegalBasis::Contract,
        LegalBasis::LegitimateInterest => pb::LegalBasis::LegitimateInterest,
    }
}

pub(crate) fn parse_legal_basis(number: i32) -> Option<LegalBasis> {
    match pb::LegalBasis::try_from(number).ok()? {
        pb::LegalBasis::Unspecified => None,
        pb::LegalBasis::Consent => Some(LegalBasis::Consent),
        pb::LegalBasis::Contract => Some(LegalBasis::Contract),
        pb::LegalBasis::LegitimateInterest => Some(LegalBasis::LegitimateInterest),
    }
}

pub(crate) fn relation_type(type_: RelationType) -> pb::RelationType {
    match type_ {
        RelationType::BuysFor => pb::RelationType::BuysFor,
        RelationType::PurchasingAgentOf => pb::RelationType::PurchasingAgentOf,
        RelationType::ContactOf => pb::RelationType::ContactOf,
        RelationType::EmployeeOf => pb::RelationType::EmployeeOf,
        RelationType::SharesHouseholdWith => pb::RelationType::SharesHouseholdWith,
        RelationType::SubsidiaryOf => pb::RelationType::SubsidiaryOf,
        RelationType::ReferredBy => pb::RelationType::ReferredBy,
    }
}

pub(crate) fn parse_relation_type(number: i32) -> Option<RelationType> {
    match pb::RelationType::try_from(number).ok()? {
        pb::RelationType::Unspecified => None,
        pb::RelationType::BuysFor => Some(RelationType::BuysFor),
        pb::RelationType::PurchasingAgentOf => Some(RelationType::PurchasingAgentOf),
        pb::RelationType::ContactOf => Some(RelationType::ContactOf),
        pb::RelationType::EmployeeOf => Some(RelationType::EmployeeOf),
        pb::RelationType::SharesHouseholdWith => Some(RelationType::SharesHouseholdWith),
        pb::RelationType::SubsidiaryOf => Some(RelationType::SubsidiaryOf),
        pb::RelationType::ReferredBy => Some(RelationType::ReferredBy),
    }
}
