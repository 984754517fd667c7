//! Registration of persons and businesses.

use contracts::customers::v1 as pb;
use service::clock;
use testing::refusal::refused;
use time::{Duration, macros::datetime};
use tonic::Code;
use uuid::Uuid;

use crate::{
    requests::{ayse, email, external, get, moment, phone, register, registration},
    stack::Stack,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_registered_with_profile_and_identifiers() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let before = clock::now();
    let request = pb::RegisterCustomerRequest {
        identifiers: vec![
            email(" Ayse@Example.COM"),
            phone("0532 123 45 67"),
            external("CRM", "A-17"),
            email("ayse@example.com"),
        ],
        ..registration()
    };
    let answer = client
        .register_customer(request)
        .await
        .unwrap()
        .into_inner();

    let customer = get(&mut client, &answer.customer_id).await;
    assert_eq!(customer.kind(), pb::CustomerKind::Person);
    assert_eq!(customer.profile, Some(ayse()));
    assert_eq!(
        customer.identifiers,
        [
            email("ayse@example.com"),
            phone("+905321234567"),
            external("crm", "A-17")
        ]
    );
    assert_eq!(customer.consents, []);
    assert_eq!(customer.etag, answer.etag);
    let registered = customer.registered_time.unwrap();
    assert!(
        registered.seconds >= before.unix_timestamp()
            && registered.seconds <= clock::now().unix_timestamp()
    );
    // The customer, three identifiers and the claims on them.
    assert_eq!(stack.events().await, 7);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_business_is_registered_under_the_id_and_time_it_comes_with() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = Uuid::from_u128(17).to_string();
    let request = pb::RegisterCustomerRequest {
        customer_id: id.clone(),
        kind: pb::CustomerKind::Business.into(),
        profile: Some(pb::Profile {
            legal_name: "  Vefa Bozacılık A.Ş. ".to_owned(),
            ..pb::Profile::default()
        }),
        registered_time: moment(datetime!(1997-01-01 00:00 UTC)),
        ..pb::RegisterCustomerRequest::default()
    };
    assert_eq!(register(&mut client, request.clone()).await, id);
    let customer = get(&mut client, &id).await;
    assert_eq!(customer.profile.unwrap().legal_name, "Vefa Bozacılık A.Ş.");
    assert_eq!(customer.registered_time, request.registered_time);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_an_id_or_identifier_that_is_taken_and_registers_nothing() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let first = pb::RegisterCustomerRequest {
        customer_id: Uuid::from_u128(1).to_string(),
        identifiers: vec![email("ayse@example.com")],
        ..registration()
    };
    register(&mut client, first.clone()).await;

    let same_id = pb::RegisterCustomerRequest {
        identifiers: Vec::new(),
        ..first.clone()
    };
    refused(
        &stack,
        Code::AlreadyExists,
        "CUSTOMER_EXISTS",
        client.register_customer(same_id),
    )
    .await;
    let same_email = pb::RegisterCustomerRequest {
        customer_id: Uuid::from_u128(2).to_string(),
        identifiers: vec![external("crm", "1"), email("AYSE@example.com")],
        ..registration()
    };
    let status = refused(
        &stack,
        Code::AlreadyExists,
        "IDENTIFIER_TAKEN",
        client.register_customer(same_email),
    )
    .await;
    assert!(status.message().contains("identifiers[1]"), "{status:?}");
    assert!(!status.message().contains("ayse"), "{status:?}");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_do_not_share_ids_or_identifiers() {
    let stack = Stack::start().await;
    let request = pb::RegisterCustomerRequest {
        customer_id: Uuid::from_u128(1).to_string(),
        identifiers: vec![email("ayse@example.com")],
        ..registration()
    };
    register(&mut stack.client(), request.clone()).await;
    register(&mut stack.client_of("other", &["customers.write"]), request).await;
    assert_eq!(stack.events().await, 6);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_was_a_customer_before_the_registration() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let registered = clock::now() - Duration::days(400);
    let request = pb::RegisterCustomerRequest {
        registered_time: moment(registered),
        identifiers: vec![email("ayse@example.com")],
        ..registration()
    };
    let id = register(&mut client, request).await;
    let as_of = |at| pb::GetCustomerRequest {
        customer_id: id.clone(),
        as_of: moment(at),
    };
    let then = client
        .get_customer(as_of(registered))
        .await
        .unwrap()
        .into_inner()
        .customer
        .unwrap();
    assert_eq!(then.identifiers, [email("ayse@example.com")]);
    assert_eq!(then.etag, "", "a past state is no version");
    let before = as_of(registered - Duration::microseconds(1));
    refused(
        &stack,
        Code::NotFound,
        "NOT_FOUND",
        client.get_customer(before),
    )
    .await;
    stack.stop().await;
}
