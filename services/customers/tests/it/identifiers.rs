//! Identifiers: one owner at a time.

use contracts::customers::v1 as pb;
use service::clock;
use testing::refusal::{malformed, reason, refused};
use time::{Duration, OffsetDateTime};
use tokio::task::JoinSet;
use tonic::{Code, Status};

use crate::{
    requests::{addition, email, external, get, moment, phone, register, registration},
    stack::{Client, Stack},
};

async fn owner(client: &mut Client, identifier: pb::Identifier) -> Result<String, Status> {
    let request = pb::ResolveIdentifierRequest {
        identifier: Some(identifier),
        as_of: None,
    };
    Ok(client
        .resolve_identifier(request)
        .await?
        .into_inner()
        .customer_id)
}

async fn owner_as_of(
    client: &mut Client,
    identifier: pb::Identifier,
    as_of: OffsetDateTime,
) -> Result<String, Status> {
    let request = pb::ResolveIdentifierRequest {
        identifier: Some(identifier),
        as_of: moment(as_of),
    };
    Ok(client
        .resolve_identifier(request)
        .await?
        .into_inner()
        .customer_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identifier_had_no_owner_before_it_was_told() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    let before = clock::now();
    client
        .add_identifier(addition(&id, email("ayse@example.com")))
        .await
        .unwrap();
    let after = clock::now();
    let asked = || email("AYSE@example.com");
    for known in [after, after + Duration::days(1)] {
        assert_eq!(owner_as_of(&mut client, asked(), known).await.unwrap(), id);
    }
    for unknown in [before, before - Duration::days(1)] {
        let call = owner_as_of(&mut client, asked(), unknown);
        refused(&stack, Code::NotFound, "NOT_FOUND", call).await;
    }
    let elsewhere = &mut stack.client_of("other", &["customers.read"]);
    let call = owner_as_of(elsewhere, asked(), after);
    refused(&stack, Code::NotFound, "NOT_FOUND", call).await;
    let no_moment = pb::ResolveIdentifierRequest {
        identifier: Some(asked()),
        as_of: Some(prost_types::Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        }),
    };
    malformed(&stack, &["as_of"], client.resolve_identifier(no_moment)).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identifier_leads_to_its_owner_however_it_is_written() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    for (given, normal, asked) in [
        (
            email("Ayse@Example.com "),
            email("ayse@example.com"),
            email("AYSE@EXAMPLE.COM"),
        ),
        (
            phone("0532 123 45 67"),
            phone("+905321234567"),
            phone("+90 (532) 123-45-67"),
        ),
        (
            external("CRM", "a-17"),
            external("crm", "a-17"),
            external("crm", " a-17"),
        ),
    ] {
        let answer = client
            .add_identifier(addition(&id, given))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(answer.identifier, Some(normal));
        assert_eq!(answer.etag, get(&mut client, &id).await.etag);
        assert_eq!(owner(&mut client, asked).await.unwrap(), id);
    }
    let nobody = owner(&mut client, external("crm", "A-17"));
    refused(&stack, Code::NotFound, "NOT_FOUND", nobody).await;
    let elsewhere = &mut stack.client_of("other", &["customers.read"]);
    refused(
        &stack,
        Code::NotFound,
        "NOT_FOUND",
        owner(elsewhere, email("ayse@example.com")),
    )
    .await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identifier_that_the_customer_owns_is_added_without_an_event() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    let first = client
        .add_identifier(addition(&id, email("a@example.com")))
        .await
        .unwrap()
        .into_inner();
    let events = stack.events().await;
    let again = client
        .add_identifier(addition(&id, email("A@example.com")))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (again.identifier, again.etag),
        (first.identifier, first.etag)
    );
    assert_eq!(stack.events().await, events);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_second_owner_of_an_email() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let owner = register(&mut client, registration()).await;
    let other = register(&mut client, registration()).await;
    client
        .add_identifier(addition(&owner, email("a@example.com")))
        .await
        .unwrap();
    let taken = client.add_identifier(addition(&other, email("A@EXAMPLE.com")));
    refused(&stack, Code::AlreadyExists, "IDENTIFIER_TAKEN", taken).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_national_number_is_refused_without_a_country() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let request = pb::RegisterCustomerRequest {
        profile: Some(pb::Profile {
            given_name: "Ayşe".to_owned(),
            ..pb::Profile::default()
        }),
        ..registration()
    };
    let id = register(&mut client, request.clone()).await;
    let add = client.add_identifier(addition(&id, phone("0532 123 45 67")));
    malformed(&stack, &["identifier.value"], add).await;
    let mut client = stack.client();
    let request = pb::RegisterCustomerRequest {
        identifiers: vec![phone("0532 123 45 67")],
        ..request
    };
    malformed(
        &stack,
        &["identifiers[0].value"],
        client.register_customer(request),
    )
    .await;
    malformed(
        &stack,
        &["identifier.value"],
        owner(&mut client, phone("0532 123 45 67")),
    )
    .await;
    stack.stop().await;
}

/// All that happens to an identifier at once: registrations with it and additions of it.
#[tokio::test(flavor = "multi_thread")]
async fn of_64_who_claim_an_email_at_once_one_gets_it() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let mut registered = Vec::new();
    for _ in 0..32 {
        registered.push(register(&mut client, registration()).await);
    }
    let before = stack.events().await;

    let mut calls = JoinSet::new();
    for id in registered {
        let mut client = client.clone();
        calls.spawn(async move {
            let answer = client
                .add_identifier(addition(&id, email("ayse@example.com")))
                .await;
            answer.map(|_| (id, 1))
        });
        let mut client = stack.client();
        calls.spawn(async move {
            let request = pb::RegisterCustomerRequest {
                identifiers: vec![external("crm", "1"), email("ayse@example.com")],
                ..registration()
            };
            let answer = client.register_customer(request).await;
            answer.map(|answer| (answer.into_inner().customer_id, 4))
        });
    }
    let mut winners = Vec::new();
    while let Some(answer) = calls.join_next().await {
        match answer.unwrap() {
            Ok(winner) => winners.push(winner),
            Err(status) => {
                assert_eq!(status.code(), Code::AlreadyExists, "{status:?}");
                assert_eq!(reason(&status), "IDENTIFIER_TAKEN");
            }
        }
    }
    let [(winner, further_events)] = winners.as_slice() else {
        panic!("{} got the e-mail address", winners.len())
    };
    assert_eq!(
        owner(&mut client, email("ayse@example.com")).await.unwrap(),
        *winner
    );
    let owned = get(&mut client, winner).await.identifiers;
    assert!(owned.contains(&email("ayse@example.com")), "{owned:?}");
    // The claim on the address, and what came with it; of the others nothing.
    assert_eq!(stack.events().await, before + 1 + further_events);
    stack.stop().await;
}
