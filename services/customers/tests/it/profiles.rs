//! Changes of the profile.

use contracts::{common::v1::Money, customers::v1 as pb};
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

fn in_full() -> pb::Profile {
    pb::Profile {
        formal_address: "Sayın Yılmaz".to_owned(),
        preferred_name: "Ayşe Abla".to_owned(),
        birth_date: "1990-05-17".to_owned(),
        gender: pb::Gender::Female.into(),
        income_band: "upper".to_owned(),
        occupation: "mimar".to_owned(),
        sector: "F41".to_owned(),
        yearly_capacity: Some(Money {
            currency_code: "TRY".to_owned(),
            amount_minor: 1_250_000,
        }),
        region_code: "TR-34".to_owned(),
        addresses: vec![pb::PostalAddress {
            r#type: pb::AddressType::Home.into(),
            address_lines: vec!["Moda Cad. 7".to_owned(), "Daire 3".to_owned()],
            locality: "Kadıköy".to_owned(),
            postal_code: "34710".to_owned(),
            country_code: "TR".to_owned(),
            ..pb::PostalAddress::default()
        }],
        ..ayse()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_told_at_registration_is_kept_and_listed_and_taken_by_filters() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let request = pb::RegisterCustomerRequest {
        profile: Some(in_full()),
        ..registration()
    };
    let answer = client
        .register_customer(request)
        .await
        .unwrap()
        .into_inner();
    let id = answer.customer_id;
    assert_eq!(get(&mut client, &id).await.profile, Some(in_full()));
    let other = register(&mut client, registration()).await;
    let filter = "profile.region_code = TR-34 AND profile.birth_date < 1990-06-01 AND profile.birth_date >= 1990-05-17 \
         AND profile.gender = GENDER_FEMALE AND profile.income_band = upper AND profile.sector = F41 AND NOT profile.company_size:*";
    let listing = pb::ListCustomersRequest {
        filter: filter.to_owned(),
        consistency_token: answer.consistency_token,
        ..pb::ListCustomersRequest::default()
    };
    let listed = client.list_customers(listing).await.unwrap().into_inner();
    let [listed] = &listed.customers[..] else {
        panic!("{other} or nobody is listed: {listed:?}");
    };
    assert_eq!(listed.customer_id, id);
    assert_eq!(listed.profile, Some(in_full()));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_replaced_together_and_every_field_can_be_cleared() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let request = pb::RegisterCustomerRequest {
        profile: Some(in_full()),
        ..registration()
    };
    let id = register(&mut client, request).await;
    let moved = pb::PostalAddress {
        address_lines: vec!["Atatürk Bulvarı 190".to_owned()],
        country_code: "TR".to_owned(),
        ..pb::PostalAddress::default()
    };
    let profile = pb::Profile {
        addresses: vec![moved.clone()],
        ..in_full()
    };
    client
        .update_profile(update(&id, profile, &["addresses"]))
        .await
        .unwrap();
    let history = pb::ListChangesRequest {
        customer_id: id.clone(),
        ..pb::ListChangesRequest::default()
    };
    let changes = client.list_changes(history).await.unwrap().into_inner();
    let paths = changes.changes[1].fields.iter();
    let paths: Vec<_> = paths.map(|field| field.path.as_str()).collect();
    let expected = [
        "address_lines[0]",
        "address_lines[1]",
        "locality",
        "postal_code",
        "type",
    ];
    let expected = expected.map(|field| format!("profile.addresses[0].{field}"));
    assert_eq!(paths, expected);
    let mask = [
        "formal_address",
        "preferred_name",
        "birth_date",
        "gender",
        "income_band",
        "occupation",
        "sector",
        "yearly_capacity",
        "region_code",
        "addresses",
    ];
    let nothing = pb::Profile::default();
    client
        .update_profile(update(&id, nothing, &mask))
        .await
        .unwrap();
    assert_eq!(get(&mut client, &id).await.profile, Some(ayse()));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_business_was_not_born_and_a_person_has_no_staff() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let person = register(&mut client, registration()).await;
    let business = pb::RegisterCustomerRequest {
        kind: pb::CustomerKind::Business.into(),
        profile: Some(pb::Profile {
            legal_name: "Vefa A.Ş.".to_owned(),
            company_size: pb::CompanySize::Large.into(),
            ..pb::Profile::default()
        }),
        ..registration()
    };
    let born = pb::RegisterCustomerRequest {
        profile: Some(pb::Profile {
            birth_date: "1990-05-17".to_owned(),
            ..business.profile.clone().unwrap()
        }),
        ..business.clone()
    };
    let reason = "FIELD_OF_OTHER_KIND";
    let code = Code::FailedPrecondition;
    refused(&stack, code, reason, client.register_customer(born)).await;
    let business = register(&mut client, business).await;
    let staffed = pb::Profile {
        company_size: pb::CompanySize::Micro.into(),
        ..pb::Profile::default()
    };
    for request in [
        update(&business, in_full(), &["gender"]),
        update(&person, staffed.clone(), &["company_size"]),
    ] {
        refused(&stack, code, reason, client.update_profile(request)).await;
    }
    // What it cannot have can still be cleared.
    let cleared = update(&business, pb::Profile::default(), &["gender", "occupation"]);
    client.update_profile(cleared).await.unwrap();
    stack.stop().await;
}
