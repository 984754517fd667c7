//! Erasure: nothing personal is left, nothing is told any more, and a receipt says what went.

use contracts::customers::v1 as pb;
use futures::future::join_all;
use service::clock;
use testing::refusal::{malformed, preconditions, refused};
use time::Duration;
use tonic::Code;
use uuid::Uuid;

use crate::{
    requests::{
        add_relation, addition, assign_owner, assign_team, ayse, change_stage, consent, email,
        employee, end_relation, erase, get, list_changes, moment, phone, receipt, register,
        registration, release_owner, update, withdrawal,
    },
    stack::{Client, Stack},
};

async fn with_identifiers(client: &mut Client) -> String {
    let request = pb::RegisterCustomerRequest {
        identifiers: vec![email("ayse@example.com"), phone("+905321234567")],
        registered_time: moment(clock::now() - Duration::days(2)),
        ..registration()
    };
    register(client, request).await
}

async fn list(client: &mut Client, token: &str) -> Vec<pb::Customer> {
    let request = pb::ListCustomersRequest {
        consistency_token: token.to_owned(),
        ..pb::ListCustomersRequest::default()
    };
    client
        .list_customers(request)
        .await
        .unwrap()
        .into_inner()
        .customers
}

/// Every row of every table as text.
async fn everything(stack: &Stack) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "select table_name::text from information_schema.tables where table_schema = 'public'",
    )
    .fetch_all(&stack.pool)
    .await
    .unwrap();
    let mut all = String::new();
    for table in tables {
        let rows = format!("select coalesce(string_agg(t::text, ' '), '') from {table} t");
        let rows: String = sqlx::query_scalar(sqlx::AssertSqlSafe(rows))
            .fetch_one(&stack.pool)
            .await
            .unwrap();
        all.push_str(&rows);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_customer_has_no_name_at_any_moment() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = with_identifiers(&mut client).await;
    let yesterday = clock::now() - Duration::days(1);
    client
        .record_consent(consent(&id, yesterday))
        .await
        .unwrap();
    let other = register(&mut client, registration()).await;
    let before = client
        .assign_team(assign_team(&id, "key-accounts"))
        .await
        .unwrap()
        .into_inner()
        .consistency_token;
    assert_eq!(list(&mut client, &before).await.len(), 2);
    assert!(everything(&stack).await.contains("Yılmaz"));
    let key: Vec<u8> = sqlx::query_scalar("select wrapped_key from subject_key where subject = $1")
        .bind(Uuid::parse_str(&id).unwrap())
        .fetch_one(&stack.pool)
        .await
        .unwrap();

    let answer = client
        .erase_customer(erase(&id))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.etag, "6");

    let customer = get(&mut client, &id).await;
    let erasure = customer.erasure.unwrap();
    assert_eq!(erasure.reason(), pb::ErasureReason::SubjectRequest);
    assert_eq!(
        customer.profile.unwrap(),
        pb::Profile {
            country_code: "TR".to_owned(),
            ..pb::Profile::default()
        }
    );
    assert_eq!(
        (customer.identifiers, customer.team),
        (vec![], String::new())
    );
    assert!(!customer.consents[0].granted);
    assert_eq!(customer.consents[0].source, "erasure");
    let then = pb::GetCustomerRequest {
        customer_id: id.clone(),
        as_of: moment(yesterday),
    };
    let then = client.get_customer(then).await.unwrap().into_inner();
    let then = then.customer.unwrap();
    assert_eq!((then.erasure, then.consents[0].granted), (None, true));
    assert_eq!(then.profile.unwrap().given_name, "");
    assert_eq!(then.identifiers[0].value, "");

    let listed = list(&mut client, &answer.consistency_token).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].customer_id, other);
    client.erase_customer(erase(&other)).await.unwrap();
    let token = client.get_customer(pb::GetCustomerRequest {
        customer_id: other.clone(),
        as_of: None,
    });
    assert!(
        token
            .await
            .unwrap()
            .into_inner()
            .customer
            .unwrap()
            .erasure
            .is_some()
    );
    testing::eventually(testing::stack::SOON, "the rows to be wiped", || async {
        (!everything(&stack).await.contains("Yılmaz")).then_some(())
    })
    .await;
    let key = format!("\\x{}", hex(&key));
    assert!(!everything(&stack).await.contains(&key));
    stack.stop().await;
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_history_says_who_erased_it_and_shows_no_name() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = with_identifiers(&mut client).await;
    client.erase_customer(erase(&id)).await.unwrap();
    let changes = client.list_changes(list_changes(&id)).await.unwrap();
    let changes = changes.into_inner().changes;
    let last = changes.last().unwrap();
    assert_eq!(last.event_type, "vefa.customers.v1.CustomerErased");
    let reason = last
        .fields
        .iter()
        .find(|field| field.path == "erasure.reason");
    assert_eq!(reason.unwrap().after, "ERASURE_REASON_SUBJECT_REQUEST");
    let told = format!("{changes:?}");
    assert!(!told.contains("Ayşe") && !told.contains("example.com") && !told.contains("90532"));
    let receipt = client.get_erasure_receipt(receipt(&id)).await.unwrap();
    let receipt = receipt.into_inner();
    assert_eq!(receipt.event_id, last.event_id);
    assert_eq!(receipt.actor, last.actor);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receipt_names_what_was_destroyed_and_who_does_not_answer() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = with_identifiers(&mut client).await;
    refused(
        &stack,
        Code::FailedPrecondition,
        "CUSTOMER_NOT_ERASED",
        client.get_erasure_receipt(receipt(&id)),
    )
    .await;
    let token = client.erase_customer(erase(&id)).await.unwrap();
    list(&mut client, &token.into_inner().consistency_token).await;
    let told = client.get_erasure_receipt(receipt(&id)).await.unwrap();
    let told = told.into_inner();
    let services: Vec<_> = told
        .services
        .iter()
        .map(|service| (service.service.as_str(), service.state()))
        .collect();
    // Of the others only the log of interactions is there, and nobody reacts in it.
    assert_eq!(
        services,
        [
            ("customers", pb::ErasureState::Done),
            ("interactions", pb::ErasureState::Pending),
            ("segmentation", pb::ErasureState::Unknown),
            ("campaigns", pb::ErasureState::Unknown),
        ]
    );
    assert!(!told.complete);
    let wiped: Vec<_> = told.services[0]
        .wiped
        .iter()
        .map(|wiped| (wiped.what.as_str(), wiped.rows > 0))
        .collect();
    assert_eq!(
        wiped,
        [
            ("customer_block", true),
            ("customer_list", true),
            ("customer_name", true),
            ("data_key", true),
            ("snapshot", false),
        ]
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_identified_an_erased_customer_may_identify_another() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = with_identifiers(&mut client).await;
    let taken = pb::RegisterCustomerRequest {
        identifiers: vec![email("ayse@example.com")],
        ..registration()
    };
    refused(
        &stack,
        Code::AlreadyExists,
        "IDENTIFIER_TAKEN",
        client.register_customer(taken.clone()),
    )
    .await;
    client.erase_customer(erase(&id)).await.unwrap();
    let resolve = || pb::ResolveIdentifierRequest {
        identifier: Some(email("ayse@example.com")),
        ..pb::ResolveIdentifierRequest::default()
    };
    let nobody = client.resolve_identifier(resolve());
    refused(&stack, Code::NotFound, "NOT_FOUND", nobody).await;
    let next = register(&mut client, taken).await;
    let found = client.resolve_identifier(resolve()).await.unwrap();
    assert_eq!(found.into_inner().customer_id, next);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_of_an_erased_customer() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let birgul = register(&mut client, employee()).await;
    let other = register(&mut client, registration()).await;
    let id = with_identifiers(&mut client).await;
    let household = pb::RelationType::SharesHouseholdWith;
    let related = client.add_relation(add_relation(&other, household, &id));
    let relation = related.await.unwrap().into_inner().relation_id;
    client.erase_customer(erase(&id)).await.unwrap();
    let now = clock::now();
    macro_rules! is_refused {
        ($call:expr) => {
            is_refused!(of & id, $call)
        };
        (of $customer:expr, $call:expr) => {{
            let status = refused(&stack, Code::FailedPrecondition, "CUSTOMER_ERASED", $call).await;
            assert_eq!(preconditions(&status), [format!("customer/{}", $customer)]);
        }};
    }
    is_refused!(client.update_profile(update(&id, ayse(), &["given_name"])));
    is_refused!(client.add_identifier(addition(&id, email("new@example.com"))));
    is_refused!(client.record_consent(consent(&id, now)));
    is_refused!(client.withdraw_consent(withdrawal(&id, now)));
    is_refused!(client.assign_owner(assign_owner(&id, &birgul)));
    is_refused!(client.release_owner(release_owner(&id)));
    is_refused!(client.assign_team(assign_team(&id, "key-accounts")));
    is_refused!(client.change_lifecycle_stage(change_stage(&id, pb::LifecycleStage::Active, "")));
    is_refused!(client.add_relation(add_relation(&id, household, &birgul)));
    is_refused!(client.add_relation(add_relation(&birgul, household, &id)));
    // What concerns the other of the two goes on.
    client
        .end_relation(end_relation(&other, &relation))
        .await
        .unwrap();
    assert_eq!(get(&mut client, &other).await.relations, []);
    // Nor does an erased employee look after anybody.
    client.erase_customer(erase(&birgul)).await.unwrap();
    is_refused!(
        of & birgul,
        client.assign_owner(assign_owner(&other, &birgul))
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn erased_twice_is_erased_once_and_a_question_erases_nobody() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = with_identifiers(&mut client).await;
    let request = pb::EraseCustomerRequest {
        request_id: "erase-1".to_owned(),
        ..erase(&id)
    };
    let asked = client.erase_customer(pb::EraseCustomerRequest {
        validate_only: true,
        ..request.clone()
    });
    assert_eq!(asked.await.unwrap().into_inner().etag, "4");
    assert_eq!(get(&mut client, &id).await.erasure, None);
    assert_eq!(get(&mut client, &id).await.profile.unwrap(), ayse());
    let first = client
        .erase_customer(request.clone())
        .await
        .unwrap()
        .into_inner();
    let again = client
        .erase_customer(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(first, again);
    let other_content = pb::EraseCustomerRequest {
        reason: pb::ErasureReason::LegalOrder.into(),
        ..request
    };
    refused(
        &stack,
        Code::AlreadyExists,
        "REQUEST_ID_REUSED_WITH_OTHER_CONTENT",
        client.erase_customer(other_content),
    )
    .await;
    let anew = client
        .erase_customer(erase(&id))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(anew.etag, first.etag);
    let erasures: i64 = sqlx::query_scalar(
        "select count(*) from event where type = 'vefa.customers.v1.CustomerErased'",
    )
    .fetch_one(&stack.pool)
    .await
    .unwrap();
    assert_eq!(erasures, 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_an_erasure_without_a_reason_or_of_another_version() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = with_identifiers(&mut client).await;
    let malformed_request = pb::EraseCustomerRequest {
        customer_id: "x".to_owned(),
        etag: "x".to_owned(),
        ..pb::EraseCustomerRequest::default()
    };
    malformed(
        &stack,
        &["customer_id", "reason", "etag"],
        client.erase_customer(malformed_request),
    )
    .await;
    let stale = pb::EraseCustomerRequest {
        etag: "1".to_owned(),
        ..erase(&id)
    };
    refused(
        &stack,
        Code::Aborted,
        "VERSION_MISMATCH",
        client.erase_customer(stale),
    )
    .await;
    malformed(
        &stack,
        &["customer_id"],
        client.get_erasure_receipt(receipt("x")),
    )
    .await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_updates_and_an_erasure_at_once_none_comes_behind_the_erasure() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = with_identifiers(&mut client).await;
    let updates = (0..32).map(|number| {
        let (mut client, id) = (stack.client(), id.clone());
        async move {
            let profile = pb::Profile {
                given_name: format!("Ayşe {number}"),
                ..ayse()
            };
            match client
                .update_profile(update(&id, profile, &["given_name"]))
                .await
            {
                Ok(_) => true,
                Err(status) => {
                    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
                    false
                }
            }
        }
    });
    let mut eraser = stack.client();
    let (updated, erased) = tokio::join!(join_all(updates), eraser.erase_customer(erase(&id)));
    erased.unwrap();
    let changes = client
        .list_changes(pb::ListChangesRequest {
            page_size: 100,
            ..list_changes(&id)
        })
        .await
        .unwrap()
        .into_inner()
        .changes;
    assert_eq!(
        changes.last().unwrap().event_type,
        "vefa.customers.v1.CustomerErased"
    );
    // Registered, two identifiers, erased, and each update that was told to have taken effect.
    let took_effect = updated.iter().filter(|updated| **updated).count();
    assert_eq!(changes.len(), 4 + took_effect);
    assert_eq!(get(&mut client, &id).await.profile.unwrap().given_name, "");
    stack.stop().await;
}
