//! Requests as clients send them.

use contracts::customers::v1 as pb;
use event_log::timestamp;
use prost_types::FieldMask;
use time::OffsetDateTime;

use crate::stack::Client;

pub(crate) fn moment(at: OffsetDateTime) -> Option<prost_types::Timestamp> {
    Some(timestamp::to_proto(at))
}

pub(crate) fn ayse() -> pb::Profile {
    pb::Profile {
        given_name: "Ayşe".to_owned(),
        family_name: "Yılmaz".to_owned(),
        locale: "tr-TR".to_owned(),
        time_zone: "Europe/Istanbul".to_owned(),
        country_code: "TR".to_owned(),
        ..pb::Profile::default()
    }
}

pub(crate) fn registration() -> pb::RegisterCustomerRequest {
    pb::RegisterCustomerRequest {
        kind: pb::CustomerKind::Person.into(),
        profile: Some(ayse()),
        ..pb::RegisterCustomerRequest::default()
    }
}

pub(crate) async fn register(client: &mut Client, request: pb::RegisterCustomerRequest) -> String {
    let answer = client.register_customer(request).await.unwrap();
    answer.into_inner().customer_id
}

pub(crate) async fn get(client: &mut Client, customer_id: &str) -> pb::Customer {
    let request = pb::GetCustomerRequest {
        customer_id: customer_id.to_owned(),
        as_of: None,
    };
    client
        .get_customer(request)
        .await
        .unwrap()
        .into_inner()
        .customer
        .unwrap()
}

pub(crate) fn email(value: &str) -> pb::Identifier {
    pb::Identifier {
        r#type: pb::IdentifierType::Email.into(),
        value: value.to_owned(),
        system: String::new(),
    }
}

pub(crate) fn phone(value: &str) -> pb::Identifier {
    pb::Identifier {
        r#type: pb::IdentifierType::Phone.into(),
        ..email(value)
    }
}

pub(crate) fn tckn(value: &str) -> pb::Identifier {
    pb::Identifier {
        r#type: pb::IdentifierType::Tckn.into(),
        ..email(value)
    }
}

pub(crate) fn vkn(value: &str) -> pb::Identifier {
    pb::Identifier {
        r#type: pb::IdentifierType::Vkn.into(),
        ..email(value)
    }
}

pub(crate) fn external(system: &str, value: &str) -> pb::Identifier {
    pb::Identifier {
        r#type: pb::IdentifierType::External.into(),
        value: value.to_owned(),
        system: system.to_owned(),
    }
}

pub(crate) fn addition(customer_id: &str, identifier: pb::Identifier) -> pb::AddIdentifierRequest {
    pb::AddIdentifierRequest {
        request_id: String::new(),
        customer_id: customer_id.to_owned(),
        identifier: Some(identifier),
        validate_only: false,
    }
}

pub(crate) fn update(
    customer_id: &str,
    profile: pb::Profile,
    paths: &[&str],
) -> pb::UpdateProfileRequest {
    pb::UpdateProfileRequest {
        request_id: String::new(),
        customer_id: customer_id.to_owned(),
        profile: Some(profile),
        update_mask: Some(FieldMask {
            paths: paths.iter().map(|&path| path.to_owned()).collect(),
        }),
        etag: String::new(),
        validate_only: false,
    }
}

pub(crate) fn consent(customer_id: &str, given: OffsetDateTime) -> pb::RecordConsentRequest {
    pb::RecordConsentRequest {
        request_id: String::new(),
        customer_id: customer_id.to_owned(),
        channel: pb::Channel::Email.into(),
        purpose: pb::Purpose::Marketing.into(),
        legal_basis: pb::LegalBasis::Consent.into(),
        wording_version: "2026-01".to_owned(),
        source: "web-form".to_owned(),
        given_time: moment(given),
        evidence_reference: "doc/17".to_owned(),
        validate_only: false,
        expire_time: None,
    }
}

pub(crate) fn withdrawal(
    customer_id: &str,
    withdrawn: OffsetDateTime,
) -> pb::WithdrawConsentRequest {
    pb::WithdrawConsentRequest {
        request_id: String::new(),
        customer_id: customer_id.to_owned(),
        channel: pb::Channel::Email.into(),
        purpose: pb::Purpose::Marketing.into(),
        source: "phone".to_owned(),
        withdrawn_time: moment(withdrawn),
        validate_only: false,
    }
}

pub(crate) fn employee() -> pb::RegisterCustomerRequest {
    pb::RegisterCustomerRequest {
        affiliation: pb::CustomerAffiliation::Internal.into(),
        ..registration()
    }
}

pub(crate) fn assign_owner(customer_id: &str, employee_id: &str) -> pb::AssignOwnerRequest {
    pb::AssignOwnerRequest {
        customer_id: customer_id.to_owned(),
        employee_id: employee_id.to_owned(),
        role: "representative".to_owned(),
        ..pb::AssignOwnerRequest::default()
    }
}

pub(crate) fn release_owner(customer_id: &str) -> pb::ReleaseOwnerRequest {
    pb::ReleaseOwnerRequest {
        customer_id: customer_id.to_owned(),
        ..pb::ReleaseOwnerRequest::default()
    }
}

pub(crate) fn assign_team(customer_id: &str, team: &str) -> pb::AssignTeamRequest {
    pb::AssignTeamRequest {
        customer_id: customer_id.to_owned(),
        team: team.to_owned(),
        ..pb::AssignTeamRequest::default()
    }
}

pub(crate) fn change_stage(
    customer_id: &str,
    stage: pb::LifecycleStage,
    reason: &str,
) -> pb::ChangeLifecycleStageRequest {
    pb::ChangeLifecycleStageRequest {
        customer_id: customer_id.to_owned(),
        stage: stage.into(),
        reason: reason.to_owned(),
        ..pb::ChangeLifecycleStageRequest::default()
    }
}

pub(crate) fn list_changes(customer_id: &str) -> pb::ListChangesRequest {
    pb::ListChangesRequest {
        customer_id: customer_id.to_owned(),
        ..pb::ListChangesRequest::default()
    }
}

pub(crate) fn business(name: &str) -> pb::RegisterCustomerRequest {
    pb::RegisterCustomerRequest {
        kind: pb::CustomerKind::Business.into(),
        profile: Some(pb::Profile {
            legal_name: name.to_owned(),
            ..pb::Profile::default()
        }),
        ..pb::RegisterCustomerRequest::default()
    }
}

pub(crate) fn add_relation(
    customer_id: &str,
    r#type: pb::RelationType,
    related: &str,
) -> pb::AddRelationRequest {
    pb::AddRelationRequest {
        customer_id: customer_id.to_owned(),
        r#type: r#type.into(),
        related_customer_id: related.to_owned(),
        ..pb::AddRelationRequest::default()
    }
}

pub(crate) fn end_relation(customer_id: &str, relation_id: &str) -> pb::EndRelationRequest {
    pb::EndRelationRequest {
        customer_id: customer_id.to_owned(),
        relation_id: relation_id.to_owned(),
        ..pb::EndRelationRequest::default()
    }
}

pub(crate) fn walk(customer_id: &str, r#type: pb::RelationType) -> pb::WalkRelationsRequest {
    pb::WalkRelationsRequest {
        customer_id: customer_id.to_owned(),
        r#type: r#type.into(),
        as_of: None,
    }
}

pub(crate) fn erase(customer_id: &str) -> pb::EraseCustomerRequest {
    pb::EraseCustomerRequest {
        customer_id: customer_id.to_owned(),
        reason: pb::ErasureReason::SubjectRequest.into(),
        ..pb::EraseCustomerRequest::default()
    }
}

pub(crate) fn receipt(customer_id: &str) -> pb::GetErasureReceiptRequest {
    pb::GetErasureReceiptRequest {
        customer_id: customer_id.to_owned(),
    }
}

pub(crate) fn restrict(
    customer_id: &str,
    reason: pb::RestrictionReason,
) -> pb::RestrictProcessingRequest {
    pb::RestrictProcessingRequest {
        customer_id: customer_id.to_owned(),
        reason: reason.into(),
        ..pb::RestrictProcessingRequest::default()
    }
}

pub(crate) fn lift(customer_id: &str) -> pb::LiftRestrictionRequest {
    pb::LiftRestrictionRequest {
        customer_id: customer_id.to_owned(),
        ..pb::LiftRestrictionRequest::default()
    }
}

pub(crate) fn by_name(name: &str) -> pb::SearchCustomersRequest {
    pb::SearchCustomersRequest {
        query: Some(pb::search_customers_request::Query::Name(name.to_owned())),
        ..pb::SearchCustomersRequest::default()
    }
}

pub(crate) fn duplicates_of(customer_id: &str) -> pb::ListDuplicateCandidatesRequest {
    pb::ListDuplicateCandidatesRequest {
        customer_id: customer_id.to_owned(),
        ..pb::ListDuplicateCandidatesRequest::default()
    }
}

pub(crate) fn removal(
    customer_id: &str,
    identifier: pb::Identifier,
) -> pb::RemoveIdentifierRequest {
    pb::RemoveIdentifierRequest {
        customer_id: customer_id.to_owned(),
        identifier: Some(identifier),
        ..pb::RemoveIdentifierRequest::default()
    }
}

pub(crate) fn merge(survivor: &str, duplicate: &str) -> pb::MergeCustomersRequest {
    pb::MergeCustomersRequest {
        customer_id: survivor.to_owned(),
        duplicate_customer_id: duplicate.to_owned(),
        ..pb::MergeCustomersRequest::default()
    }
}

pub(crate) fn preview(survivor: &str, duplicate: &str) -> pb::PreviewMergeRequest {
    pb::PreviewMergeRequest {
        customer_id: survivor.to_owned(),
        duplicate_customer_id: duplicate.to_owned(),
        duplicate_fields: None,
    }
}

pub(crate) fn unmerge(customer_id: &str) -> pb::UnmergeCustomerRequest {
    pb::UnmergeCustomerRequest {
        customer_id: customer_id.to_owned(),
        ..pb::UnmergeCustomerRequest::default()
    }
}
