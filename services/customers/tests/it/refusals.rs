//! What every call refuses: who may not call, what is malformed, what does not exist.

use contracts::{common::v1::Money, customers::v1 as pb};
use service::clock;
use testing::refusal::{malformed, refused};
use time::Duration;
use tonic::Code;
use uuid::Uuid;

use crate::{
    requests::{
        add_relation, addition, assign_owner, assign_team, ayse, by_name, change_stage, consent,
        duplicates_of, email, end_relation, erase, external, lift, list_changes, merge, moment,
        phone, preview, receipt, register, registration, release_owner, removal, restrict, tckn,
        unmerge, update, vkn, walk, withdrawal,
    },
    stack::{Client, Stack},
};

/// Every call, for one customer, as `$check` wants it refused.
macro_rules! each_call {
    ($client:expr, $id:expr, |$call:ident| $check:expr) => {{
        let mut client: Client = $client;
        let id: &str = $id;
        let past = clock::now() - Duration::days(1);
        {
            let $call = client.register_customer(registration());
            $check
        }
        each_call!(client, id, past, |$call| $check);
        {
            let $call = client.list_customers(pb::ListCustomersRequest::default());
            $check
        }
        let resolve = pb::ResolveIdentifierRequest {
            identifier: Some(email("a@example.com")),
            as_of: None,
        };
        {
            let $call = client.resolve_identifier(resolve);
            $check
        }
        {
            let $call = client.search_customers(by_name("ayse"));
            $check
        }
    }};
    // Calls about one customer.
    ($client:ident, $id:ident, $past:ident, |$call:ident| $check:expr) => {{
        let get = pb::GetCustomerRequest {
            customer_id: $id.to_owned(),
            as_of: None,
        };
        {
            let $call = $client.list_duplicate_candidates(duplicates_of($id));
            $check
        }
        {
            let $call = $client.get_customer(get.clone());
            $check
        }
        {
            let $call = $client.get_customer(pb::GetCustomerRequest {
                as_of: moment($past),
                ..get
            });
            $check
        }
        {
            let $call = $client.update_profile(update($id, ayse(), &["locale"]));
            $check
        }
        {
            let $call = $client.add_identifier(addition($id, email("a@example.com")));
            $check
        }
        {
            let $call = $client.add_identifier(addition($id, phone("0532 123 45 67")));
            $check
        }
        {
            let $call = $client.record_consent(consent($id, $past));
            $check
        }
        {
            let $call = $client.withdraw_consent(withdrawal($id, $past));
            $check
        }
        {
            let $call = $client.assign_owner(assign_owner($id, &Uuid::from_u128(9).to_string()));
            $check
        }
        {
            let $call = $client.release_owner(release_owner($id));
            $check
        }
        {
            let $call = $client.assign_team(assign_team($id, "key-accounts"));
            $check
        }
        {
            let active = pb::LifecycleStage::Active;
            let $call = $client.change_lifecycle_stage(change_stage($id, active, ""));
            $check
        }
        {
            let $call = $client.list_changes(list_changes($id));
            $check
        }
        let other = Uuid::from_u128(9).to_string();
        let refers = pb::RelationType::ReferredBy;
        {
            let $call = $client.add_relation(add_relation($id, refers, &other));
            $check
        }
        {
            let $call = $client.end_relation(end_relation($id, &other));
            $check
        }
        {
            let $call = $client.walk_relations(walk($id, refers));
            $check
        }
        {
            let claims = pb::RestrictionReason::LegalClaims;
            let $call = $client.restrict_processing(restrict($id, claims));
            $check
        }
        {
            let $call = $client.lift_restriction(lift($id));
            $check
        }
        {
            let $call = $client.remove_identifier(removal($id, email("a@example.com")));
            $check
        }
        {
            let $call = $client.merge_customers(merge($id, &other));
            $check
        }
        {
            let $call = $client.preview_merge(preview($id, &other));
            $check
        }
        {
            let $call = $client.unmerge_customer(unmerge($id));
            $check
        }
        {
            let $call = $client.erase_customer(erase($id));
            $check
        }
        {
            let $call = $client.get_erasure_receipt(receipt($id));
            $check
        }
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_calls_without_a_token_or_the_scope() {
    let stack = Stack::start().await;
    let id = register(&mut stack.client(), registration()).await;
    each_call!(stack.client_without_token(), &id, |call| {
        refused(&stack, Code::Unauthenticated, "TOKEN_MISSING", call).await;
    });
    each_call!(stack.client_of("demo", &["interactions.*"]), &id, |call| {
        refused(&stack, Code::PermissionDenied, "SCOPE_MISSING", call).await;
    });
    let mut reader = stack.client_of("demo", &["customers.read"]);
    let write = reader.register_customer(registration());
    refused(&stack, Code::PermissionDenied, "SCOPE_MISSING", write).await;
    let mut writer = stack.client_of("demo", &["customers.write"]);
    // What cannot be taken back takes more than to write.
    let erasure = writer.erase_customer(erase(&id));
    refused(&stack, Code::PermissionDenied, "SCOPE_MISSING", erasure).await;
    let read = writer.get_customer(pb::GetCustomerRequest {
        customer_id: id,
        as_of: None,
    });
    refused(&stack, Code::PermissionDenied, "SCOPE_MISSING", read).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_customer_and_another_tenant_s_are_not_found() {
    let stack = Stack::start().await;
    let own = register(&mut stack.client(), registration()).await;
    let unknown = Uuid::from_u128(404).to_string();
    let past = clock::now();
    for (mut client, id) in [
        (stack.client(), unknown.as_str()),
        (stack.client_of("other", &["customers.*"]), own.as_str()),
    ] {
        each_call!(client, id, past, |call| {
            refused(&stack, Code::NotFound, "NOT_FOUND", call).await;
        });
    }
    let mut stale = update(&unknown, ayse(), &["locale"]);
    stale.etag = "7".to_owned();
    refused(
        &stack,
        Code::NotFound,
        "NOT_FOUND",
        stack.client().update_profile(stale),
    )
    .await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_malformed_registration_with_every_field_that_is_wrong() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    malformed(
        &stack,
        &["kind"],
        client.register_customer(pb::RegisterCustomerRequest::default()),
    )
    .await;
    let nameless = pb::RegisterCustomerRequest {
        profile: None,
        ..registration()
    };
    malformed(&stack, &["profile"], client.register_customer(nameless)).await;
    let no_legal_name = pb::RegisterCustomerRequest {
        kind: pb::CustomerKind::Business.into(),
        ..registration()
    };
    malformed(
        &stack,
        &["profile"],
        client.register_customer(no_legal_name),
    )
    .await;
    let wrong = pb::RegisterCustomerRequest {
        customer_id: "17".to_owned(),
        profile: Some(pb::Profile {
            given_name: "a\nb".to_owned(),
            family_name: "ğ".repeat(129),
            legal_name: String::new(),
            locale: "turkish please".to_owned(),
            time_zone: "Europe/Ankara".to_owned(),
            country_code: "XX".to_owned(),
            formal_address: "a\tb".to_owned(),
            preferred_name: "ğ".repeat(129),
            birth_date: "2999-01-01".to_owned(),
            gender: 9,
            income_band: "x".repeat(65),
            occupation: "\u{0}".to_owned(),
            sector: "a\nb".to_owned(),
            company_size: 9,
            yearly_capacity: Some(Money::default()),
            region_code: "34".to_owned(),
            addresses: vec![
                pb::PostalAddress::default(),
                pb::PostalAddress {
                    r#type: 9,
                    address_lines: vec![" ".to_owned()],
                    locality: "a\nb".to_owned(),
                    country_code: "TR".to_owned(),
                    ..pb::PostalAddress::default()
                },
            ],
        }),
        identifiers: vec![
            pb::Identifier::default(),
            email("no address"),
            phone("+90 1"),
            external("", "1"),
            external("crm", ""),
            pb::Identifier {
                system: "crm".to_owned(),
                ..email("a@example.com")
            },
            tckn("10000000147"),
            vkn("12345678"),
        ],
        registered_time: moment(clock::now() + Duration::hours(1)),
        affiliation: 7,
        ..registration()
    };
    let fields = [
        "customer_id",
        "affiliation",
        "profile.given_name",
        "profile.family_name",
        "profile.locale",
        "profile.time_zone",
        "profile.country_code",
        "profile.formal_address",
        "profile.preferred_name",
        "profile.birth_date",
        "profile.gender",
        "profile.income_band",
        "profile.occupation",
        "profile.sector",
        "profile.company_size",
        "profile.yearly_capacity",
        "profile.region_code",
        "profile.addresses[0].address_lines",
        "profile.addresses[0].country_code",
        "profile.addresses[1].type",
        "profile.addresses[1].address_lines[0]",
        "profile.addresses[1].locality",
        "registered_time",
        "identifiers[0].type",
        "identifiers[1].value",
        "identifiers[2].value",
        "identifiers[3].system",
        "identifiers[4].value",
        "identifiers[5].system",
        "identifiers[6].value",
        "identifiers[7].value",
    ];
    malformed(&stack, &fields, client.register_customer(wrong)).await;
    let department = pb::RegisterCustomerRequest {
        kind: pb::CustomerKind::Business.into(),
        affiliation: pb::CustomerAffiliation::Internal.into(),
        profile: Some(pb::Profile {
            legal_name: "Yılmaz A.Ş.".to_owned(),
            ..pb::Profile::default()
        }),
        ..registration()
    };
    malformed(
        &stack,
        &["affiliation"],
        client.register_customer(department),
    )
    .await;
    let nil = pb::RegisterCustomerRequest {
        customer_id: Uuid::nil().to_string(),
        ..registration()
    };
    malformed(&stack, &["customer_id"], client.register_customer(nil)).await;
    let many = pb::RegisterCustomerRequest {
        identifiers: (0..17)
            .map(|number| external("crm", &number.to_string()))
            .collect(),
        ..registration()
    };
    malformed(&stack, &["identifiers"], client.register_customer(many)).await;
    let long_id = pb::RegisterCustomerRequest {
        request_id: "r".repeat(129),
        ..registration()
    };
    malformed(&stack, &["request_id"], client.register_customer(long_id)).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_malformed_update() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    malformed(
        &stack,
        &["update_mask"],
        client.update_profile(update(&id, ayse(), &[])),
    )
    .await;
    let unknown = update(&id, ayse(), &["locale", "shoe_size", "*"]);
    let fields = ["update_mask.paths[1]", "update_mask.paths[2]"];
    malformed(&stack, &fields, client.update_profile(unknown)).await;
    let wrong = pb::UpdateProfileRequest {
        customer_id: "x".to_owned(),
        etag: "x".to_owned(),
        ..update(
            &id,
            pb::Profile {
                country_code: "XX".to_owned(),
                ..ayse()
            },
            &["country_code"],
        )
    };
    malformed(
        &stack,
        &["customer_id", "profile.country_code", "etag"],
        client.update_profile(wrong),
    )
    .await;
    let no_profile = pb::UpdateProfileRequest {
        profile: None,
        ..update(&id, ayse(), &["locale"])
    };
    malformed(&stack, &["profile"], client.update_profile(no_profile)).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_malformed_identifier() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    for (identifier, field) in [
        (None, "identifier"),
        (Some(pb::Identifier::default()), "identifier.type"),
        (Some(email("a@localhost")), "identifier.value"),
        (Some(phone("call me")), "identifier.value"),
        (Some(external("the crm", "1")), "identifier.system"),
    ] {
        let add = pb::AddIdentifierRequest {
            identifier: identifier.clone(),
            ..addition(&id, email(""))
        };
        malformed(&stack, &[field], client.add_identifier(add)).await;
        malformed(
            &stack,
            &[field],
            client.resolve_identifier(pb::ResolveIdentifierRequest {
                identifier,
                as_of: None,
            }),
        )
        .await;
    }
    // Not a number in the customer's country.
    malformed(
        &stack,
        &["identifier.value"],
        client.add_identifier(addition(&id, phone("123"))),
    )
    .await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_malformed_consent_or_withdrawal() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    let empty = pb::RecordConsentRequest {
        customer_id: id.clone(),
        ..Default::default()
    };
    let fields = [
        "channel",
        "purpose",
        "legal_basis",
        "wording_version",
        "source",
    ];
    malformed(&stack, &fields, client.record_consent(empty)).await;
    let wrong = pb::RecordConsentRequest {
        wording_version: "w".repeat(65),
        source: "s".repeat(65),
        evidence_reference: "e".repeat(257),
        ..consent(&id, clock::now() + Duration::hours(1))
    };
    let fields = [
        "wording_version",
        "source",
        "evidence_reference",
        "given_time",
    ];
    malformed(&stack, &fields, client.record_consent(wrong)).await;
    let before_it_began = pb::RecordConsentRequest {
        expire_time: moment(clock::now() - Duration::hours(1)),
        ..consent(&id, clock::now() - Duration::hours(1))
    };
    let expiring = client.record_consent(before_it_began);
    malformed(&stack, &["expire_time"], expiring).await;
    let empty = pb::WithdrawConsentRequest {
        customer_id: id.clone(),
        ..Default::default()
    };
    malformed(
        &stack,
        &["channel", "purpose", "source"],
        client.withdraw_consent(empty),
    )
    .await;
    let future = withdrawal(&id, clock::now() + Duration::hours(1));
    malformed(&stack, &["withdrawn_time"], client.withdraw_consent(future)).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_malformed_question() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let out_of_time = prost_types::Timestamp {
        seconds: i64::MAX,
        nanos: 0,
    };
    let request = pb::GetCustomerRequest {
        customer_id: "x".to_owned(),
        as_of: Some(out_of_time),
    };
    malformed(
        &stack,
        &["customer_id", "as_of"],
        client.get_customer(request),
    )
    .await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_malformed_owner_team_stage_or_history() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    let later = moment(clock::now() + Duration::hours(1));
    let owner = pb::AssignOwnerRequest {
        role: "r".repeat(65),
        assigned_time: later,
        ..assign_owner("x", &Uuid::nil().to_string())
    };
    let fields = ["customer_id", "employee_id", "role", "assigned_time"];
    malformed(&stack, &fields, client.assign_owner(owner)).await;
    let release = pb::ReleaseOwnerRequest {
        released_time: later,
        ..release_owner(&id)
    };
    malformed(&stack, &["released_time"], client.release_owner(release)).await;
    let team = pb::AssignTeamRequest {
        assigned_time: later,
        ..assign_team(&id, "a\nb")
    };
    malformed(&stack, &["team", "assigned_time"], client.assign_team(team)).await;
    let stage = pb::ChangeLifecycleStageRequest {
        effective_time: later,
        ..change_stage(&id, pb::LifecycleStage::Unspecified, &"r".repeat(65))
    };
    let fields = ["stage", "reason", "effective_time"];
    malformed(&stack, &fields, client.change_lifecycle_stage(stage)).await;
    malformed(
        &stack,
        &["customer_id"],
        client.list_changes(list_changes("x")),
    )
    .await;
    let page = pb::ListChangesRequest {
        page_size: -1,
        ..list_changes(&id)
    };
    malformed(&stack, &["page_size"], client.list_changes(page)).await;
    let page = pb::ListChangesRequest {
        page_token: "x".to_owned(),
        ..list_changes(&id)
    };
    malformed(&stack, &["page_token"], client.list_changes(page)).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_malformed_relation() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    let later = moment(clock::now() + Duration::hours(1));
    let nothing = pb::RelationType::Unspecified;
    let add = pb::AddRelationRequest {
        start_time: later,
        ..add_relation("x", nothing, &Uuid::nil().to_string())
    };
    let fields = ["customer_id", "type", "related_customer_id", "start_time"];
    malformed(&stack, &fields, client.add_relation(add)).await;
    let end = pb::EndRelationRequest {
        end_time: later,
        ..end_relation(&id, "x")
    };
    malformed(
        &stack,
        &["relation_id", "end_time"],
        client.end_relation(end),
    )
    .await;
    let out_of_time = prost_types::Timestamp {
        seconds: i64::MAX,
        nanos: 0,
    };
    let follow = pb::WalkRelationsRequest {
        as_of: Some(out_of_time),
        ..walk("x", nothing)
    };
    let fields = ["customer_id", "type", "as_of"];
    malformed(&stack, &fields, client.walk_relations(follow)).await;
    stack.stop().await;
}
