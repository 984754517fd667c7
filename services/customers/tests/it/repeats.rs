//! Repeated requests: the same id with the same content is answered as the first time.

use std::fmt::Debug;

use contracts::customers::v1 as pb;
use service::clock;
use testing::refusal::refused;
use time::Duration;
use tonic::{Code, Response, Status};

use crate::{
    requests::{addition, ayse, consent, get, phone, register, registration, update, withdrawal},
    stack::Stack,
};

/// Sends a request twice and another one under its id.
async fn assert_recognised<Q: Clone, A: PartialEq + Debug, F>(
    stack: &Stack,
    request: Q,
    other: Q,
    send: impl Fn(Q) -> F,
) where
    F: Future<Output = Result<Response<A>, Status>>,
{
    let first = send(request.clone()).await.unwrap().into_inner();
    let written = stack.written().await;
    let again = send(request).await.unwrap().into_inner();
    assert_eq!(again, first);
    assert_eq!(stack.written().await, written, "a repeat wrote something");
    refused(
        stack,
        Code::AlreadyExists,
        "REQUEST_ID_REUSED_WITH_OTHER_CONTENT",
        send(other),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_is_answered_once_for_each_request_id() {
    let stack = Stack::start().await;
    let client = stack.client();

    let request = pb::RegisterCustomerRequest {
        request_id: "r".to_owned(),
        ..registration()
    };
    let other = pb::RegisterCustomerRequest {
        kind: pb::CustomerKind::Business.into(),
        ..request.clone()
    };
    let other = pb::RegisterCustomerRequest {
        profile: Some(pb::Profile {
            legal_name: "Vefa".to_owned(),
            ..ayse()
        }),
        ..other
    };
    assert_recognised(&stack, request, other, |request| {
        let mut client = client.clone();
        async move { client.register_customer(request).await }
    })
    .await;
    let id = register(&mut client.clone(), registration()).await;

    let named = |name: &str| pb::UpdateProfileRequest {
        request_id: "u".to_owned(),
        ..update(
            &id,
            pb::Profile {
                given_name: name.to_owned(),
                ..ayse()
            },
            &["given_name"],
        )
    };
    assert_recognised(&stack, named("Fatma"), named("Zeynep"), |request| {
        let mut client = client.clone();
        async move { client.update_profile(request).await }
    })
    .await;

    let number = |number| pb::AddIdentifierRequest {
        request_id: "i".to_owned(),
        ..addition(&id, phone(number))
    };
    assert_recognised(
        &stack,
        number("0532 123 45 67"),
        number("0532 123 45 68"),
        |request| {
            let mut client = client.clone();
            async move { client.add_identifier(request).await }
        },
    )
    .await;

    let given = clock::now() - Duration::days(2);
    let worded = |wording: &str| pb::RecordConsentRequest {
        request_id: "c".to_owned(),
        wording_version: wording.to_owned(),
        ..consent(&id, given)
    };
    assert_recognised(&stack, worded("1"), worded("2"), |request| {
        let mut client = client.clone();
        async move { client.record_consent(request).await }
    })
    .await;

    let from = |source: &str| pb::WithdrawConsentRequest {
        request_id: "w".to_owned(),
        source: source.to_owned(),
        ..withdrawal(&id, given + Duration::days(1))
    };
    assert_recognised(&stack, from("phone"), from("letter"), |request| {
        let mut client = client.clone();
        async move { client.withdraw_consent(request).await }
    })
    .await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_answered_as_the_first_time_whatever_happened_since() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    let add = pb::AddIdentifierRequest {
        request_id: "i".to_owned(),
        ..addition(&id, phone("0532 123 45 67"))
    };
    let first = client
        .add_identifier(add.clone())
        .await
        .unwrap()
        .into_inner();
    // In Germany, this would be another number.
    let moved = pb::Profile {
        country_code: "DE".to_owned(),
        ..ayse()
    };
    client
        .update_profile(update(&id, moved, &["country_code"]))
        .await
        .unwrap();
    let again = client.add_identifier(add).await.unwrap().into_inner();
    assert_eq!(again, first);
    assert_eq!(
        get(&mut client, &id).await.identifiers,
        [phone("+905321234567")]
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_repeats_at_once_one_takes_effect() {
    let stack = Stack::start().await;
    let client = stack.client();
    let request = pb::RegisterCustomerRequest {
        request_id: "r".to_owned(),
        ..registration()
    };
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (mut client, request) = (client.clone(), request.clone());
        calls.spawn(async move {
            client
                .register_customer(request)
                .await
                .unwrap()
                .into_inner()
        });
    }
    let mut answers = calls.join_all().await;
    answers.dedup();
    assert_eq!((answers.len(), stack.events().await), (1, 1));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_request_id_a_repeat_is_a_new_command() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let first = register(&mut client, registration()).await;
    let second = register(&mut client, registration()).await;
    assert_ne!(first, second);
    assert_eq!(stack.written().await, (2, 0));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_is_the_tenant_s_own() {
    let stack = Stack::start().await;
    let request = pb::RegisterCustomerRequest {
        request_id: "r".to_owned(),
        ..registration()
    };
    let here = register(&mut stack.client(), request.clone()).await;
    let there = register(&mut stack.client_of("other", &["customers.write"]), request).await;
    assert_ne!(here, there);
    stack.stop().await;
}
