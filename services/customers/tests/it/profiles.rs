//! Changes of the profile.

use contracts::customers::v1 as pb;
use service::clock;
use testing::refusal::refused;
use tonic::Code;

use crate::{
    requests::{ayse, get, moment, register, registration, update},
    stack::Stack,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_update_takes_over_what_the_mask_names() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    let before = clock::now();
    let profile = pb::Profile {
        given_name: "Ayşegül".to_owned(),
        locale: String::new(),
        // Not named by the mask, so that nobody looks at it.
        time_zone: "nowhere".to_owned(),
        ..pb::Profile::default()
    };
    let answer = client
        .update_profile(update(&id, profile, &["given_name", "locale"]))
        .await
        .unwrap()
        .into_inner();

    let customer = get(&mut client, &id).await;
    let expected = pb::Profile {
        given_name: "Ayşegül".to_owned(),
        locale: String::new(),
        ..ayse()
    };
    assert_eq!(customer.profile, Some(expected));
    assert_eq!(customer.etag, answer.etag);
    let as_of = pb::GetCustomerRequest {
        customer_id: id,
        as_of: moment(before),
    };
    let then = client
        .get_customer(as_of)
        .await
        .unwrap()
        .into_inner()
        .customer
        .unwrap();
    assert_eq!(then.profile, Some(ayse()));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_changes_nothing_is_no_event() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    let etag = get(&mut client, &id).await.etag;
    let answer = client
        .update_profile(update(&id, ayse(), &["given_name", "locale"]))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.etag, etag);
    assert_eq!(stack.events().await, 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_etag_is_refused_and_the_present_one_is_not() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    let first = get(&mut client, &id).await.etag;
    let named = |name: &str, etag: &str| pb::UpdateProfileRequest {
        etag: etag.to_owned(),
        ..update(
            &id,
            pb::Profile {
                given_name: name.to_owned(),
                ..ayse()
            },
            &["given_name"],
        )
    };
    let second = client
        .update_profile(named("Fatma", &first))
        .await
        .unwrap()
        .into_inner()
        .etag;
    assert_ne!(first, second);
    refused(
        &stack,
        Code::Aborted,
        "VERSION_MISMATCH",
        client.update_profile(named("Zeynep", &first)),
    )
    .await;
    client
        .update_profile(named("Zeynep", &second))
        .await
        .unwrap();
    assert_eq!(
        get(&mut client, &id).await.profile.unwrap().given_name,
        "Zeynep"
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_saw_the_same_version_one_changes_it() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    let etag = get(&mut client, &id).await.etag;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..16 {
        let mut client = client.clone();
        let request = pb::UpdateProfileRequest {
            etag: etag.clone(),
            ..update(
                &id,
                pb::Profile {
                    given_name: format!("Ayşe {number}"),
                    ..ayse()
                },
                &["given_name"],
            )
        };
        calls.spawn(async move { client.update_profile(request).await });
    }
    let mut changed = 0;
    while let Some(answer) = calls.join_next().await {
        match answer.unwrap() {
            Ok(_) => changed += 1,
            Err(status) => assert_eq!(status.code(), Code::Aborted, "{status:?}"),
        }
    }
    assert_eq!((changed, stack.events().await), (1, 2));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_left_without_a_name() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let person = register(&mut client, registration()).await;
    let business = register(
        &mut client,
        pb::RegisterCustomerRequest {
            kind: pb::CustomerKind::Business.into(),
            profile: Some(pb::Profile {
                legal_name: "Vefa A.Ş.".to_owned(),
                ..ayse()
            }),
            ..registration()
        },
    )
    .await;
    let nothing = pb::Profile::default;
    for request in [
        update(&person, nothing(), &["given_name", "family_name"]),
        update(&business, nothing(), &["legal_name"]),
    ] {
        refused(
            &stack,
            Code::FailedPrecondition,
            "NAME_REQUIRED",
            client.update_profile(request),
        )
        .await;
    }
    client
        .update_profile(update(&person, nothing(), &["given_name"]))
        .await
        .unwrap();
    client
        .update_profile(update(&business, nothing(), &["given_name", "family_name"]))
        .await
        .unwrap();
    stack.stop().await;
}
