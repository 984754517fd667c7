//! Commands that are only to be checked.

use contracts::customers::v1 as pb;
use testing::refusal::refused;
use time::Duration;
use tonic::Code;

use crate::{
    requests::{
        add_relation, addition, assign_owner, assign_team, ayse, business, change_stage, consent,
        email, employee, end_relation, get, lift, register, registration, release_owner, restrict,
        update, withdrawal,
    },
    stack::Stack,
};

/// Calls with `validate_only`, and then without: the first answer is that of the second but for its token, and writes nothing.
macro_rules! as_it_would_be {
    ($stack:expr, $client:expr, $call:ident, $request:expr) => {{
        let mut request = $request;
        request.request_id = stringify!($call).to_owned();
        let before = $stack.written().await;
        request.validate_only = true;
        let would = $client.$call(request.clone()).await.unwrap().into_inner();
        assert_eq!($stack.written().await, before, stringify!($call));
        request.validate_only = false;
        let mut is = $client.$call(request.clone()).await.unwrap().into_inner();
        assert_ne!($stack.written().await, before, stringify!($call));
        is.consistency_token.clone_from(&would.consistency_token);
        assert_eq!(would, is);
        // Asked again, it is checked against what is there now, and never taken for the request of the same id.
        request.validate_only = true;
        let again = $client.$call(request).await;
        let code = again.map_or_else(|status| status.code(), |_| Code::Ok);
        assert!(
            matches!(code, Code::Ok | Code::FailedPrecondition | Code::AlreadyExists),
            "{code:?}"
        );
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_can_be_checked_without_a_trace() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let birgul = register(&mut client, employee()).await;
    let firm = register(&mut client, business("Yılmaz A.Ş.")).await;
    let id = register(&mut client, registration()).await;
    let then = service::clock::now() - Duration::days(1);
    let claims = pb::RestrictionReason::LegalClaims;
    as_it_would_be!(stack, client, restrict_processing, restrict(&id, claims));
    as_it_would_be!(stack, client, lift_restriction, lift(&id));
    as_it_would_be!(stack, client, register_customer, registration());
    as_it_would_be!(
        stack,
        client,
        update_profile,
        update(
            &id,
            pb::Profile {
                given_name: "Ayşegül".to_owned(),
                ..ayse()
            },
            &["given_name"]
        )
    );
    as_it_would_be!(stack, client, record_consent, consent(&id, then));
    as_it_would_be!(
        stack,
        client,
        withdraw_consent,
        withdrawal(&id, then + Duration::hours(1))
    );
    as_it_would_be!(stack, client, assign_owner, assign_owner(&id, &birgul));
    as_it_would_be!(stack, client, release_owner, release_owner(&id));
    as_it_would_be!(stack, client, assign_team, assign_team(&id, "key-accounts"));
    let lost = pb::LifecycleStage::Lost;
    as_it_would_be!(
        stack,
        client,
        change_lifecycle_stage,
        change_stage(&id, lost, "price")
    );
    let works = pb::RelationType::EmployeeOf;
    as_it_would_be!(stack, client, add_relation, add_relation(&id, works, &firm));
    let relation = get(&mut client, &id).await.relations[0].relation_id.clone();
    as_it_would_be!(stack, client, end_relation, end_relation(&id, &relation));
    stack.stop().await;
}

/// What the answer shows of an identifier is read from the customer, who does not have it.
#[tokio::test(flavor = "multi_thread")]
async fn an_identifier_can_be_checked_without_a_trace() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    let before = stack.written().await;
    let request = pb::AddIdentifierRequest {
        validate_only: true,
        ..addition(&id, email("Ayse@Example.com"))
    };
    let answer = client.add_identifier(request).await.unwrap().into_inner();
    assert_eq!(stack.written().await, before);
    assert_eq!(answer.etag, "2");
    assert_eq!(answer.identifier.unwrap().value, "ayse@example.com");
    assert_eq!(get(&mut client, &id).await.identifiers, []);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_refused_is() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let taken = pb::RegisterCustomerRequest {
        identifiers: vec![email("a@example.com")],
        ..registration()
    };
    let id = register(&mut client, taken.clone()).await;
    let second = pb::RegisterCustomerRequest {
        validate_only: true,
        ..taken.clone()
    };
    let call = client.register_customer(second);
    refused(&stack, Code::AlreadyExists, "IDENTIFIER_TAKEN", call).await;
    let same_id = pb::RegisterCustomerRequest {
        customer_id: id.clone(),
        validate_only: true,
        ..registration()
    };
    let call = client.register_customer(same_id);
    refused(&stack, Code::AlreadyExists, "CUSTOMER_EXISTS", call).await;
    let back = pb::ChangeLifecycleStageRequest {
        validate_only: true,
        ..change_stage(&id, pb::LifecycleStage::WonBack, "")
    };
    let call = client.change_lifecycle_stage(back);
    refused(
        &stack,
        Code::FailedPrecondition,
        "STAGE_NOT_REACHABLE",
        call,
    )
    .await;
    stack.stop().await;
}
