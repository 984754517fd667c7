//! The list of customers.

use contracts::customers::v1 as pb;
use testing::refusal::{malformed, refused};
use time::{Duration, OffsetDateTime, macros::datetime};
use tonic::Code;
use uuid::Uuid;

use crate::{
    requests::{
        addition, assign_owner, assign_team, ayse, change_stage, consent, email, employee, get,
        moment, register, registration, release_owner, update,
    },
    stack::{Client, Stack},
};

const PROJECTION: &str = "customers.list";
const FIRST: OffsetDateTime = datetime!(1997-01-01 00:00 UTC);

fn known_since(days: i64, id: u128) -> pb::RegisterCustomerRequest {
    pb::RegisterCustomerRequest {
        customer_id: Uuid::from_u128(id).to_string(),
        registered_time: moment(FIRST + Duration::days(days)),
        ..registration()
    }
}

/// All pages of the list, once it shows what the token stands for.
async fn pages(
    client: &mut Client,
    page_size: i32,
    consistency_token: &str,
) -> Vec<Vec<pb::Customer>> {
    let mut request = pb::ListCustomersRequest {
        page_size,
        page_token: String::new(),
        consistency_token: consistency_token.to_owned(),
        ..pb::ListCustomersRequest::default()
    };
    let mut pages = Vec::new();
    loop {
        let page = client
            .list_customers(request.clone())
            .await
            .unwrap()
            .into_inner();
        pages.push(page.customers);
        if page.next_page_token.is_empty() {
            return pages;
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_the_order_of_registration() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let mut tokens = Vec::new();
    // Two of the same moment, in order of their ids.
    for (days, id) in [(3, 1), (1, 9), (1, 4), (2, 7), (0, 8)] {
        let answer = client
            .register_customer(known_since(days, id))
            .await
            .unwrap();
        tokens.push(answer.into_inner().consistency_token);
    }
    register(
        &mut stack.client_of("other", &["customers.write"]),
        known_since(1, 5),
    )
    .await;

    let found = pages(&mut client, 2, &tokens.join(" ")).await;
    let ids: Vec<Vec<u128>> = found
        .iter()
        .map(|page| {
            page.iter()
                .map(|one| Uuid::parse_str(&one.customer_id).unwrap().as_u128())
                .collect()
        })
        .collect();
    assert_eq!(ids, [vec![8, 4], vec![9, 7], vec![1]]);
    assert_eq!(found[0][0].profile, Some(ayse()));
    assert_eq!(found[0][0].registered_time, moment(FIRST));
    // A page that ends with the last customer is the last page.
    assert_eq!(pages(&mut client, 5, "").await.len(), 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_shows_what_the_token_stands_for() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, known_since(0, 1)).await;
    for number in 0..20 {
        let name = format!("Ayşe {number}");
        let profile = pb::Profile {
            given_name: name.clone(),
            ..ayse()
        };
        let answer = client
            .update_profile(update(&id, profile, &["given_name"]))
            .await
            .unwrap()
            .into_inner();
        let found = pages(&mut client, 10, &answer.consistency_token).await;
        assert_eq!(found[0][0].profile.as_ref().unwrap().given_name, name);
        assert_eq!(found[0][0].etag, answer.etag);
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_token_continues_its_own_list_only() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let mut token = String::new();
    for id in 1..=2 {
        let answer = client.register_customer(known_since(0, id)).await.unwrap();
        token = format!("{token} {}", answer.into_inner().consistency_token);
    }
    let request = pb::ListCustomersRequest {
        page_size: 1,
        consistency_token: token,
        ..Default::default()
    };
    let page = client.list_customers(request).await.unwrap().into_inner();
    let next = pb::ListCustomersRequest {
        page_token: page.next_page_token,
        ..Default::default()
    };
    assert_eq!(
        client
            .list_customers(next.clone())
            .await
            .unwrap()
            .into_inner()
            .customers
            .len(),
        1
    );
    let mut elsewhere = stack.client_of("other", &["customers.read"]);
    malformed(&stack, &["page_token"], elsewhere.list_customers(next)).await;
    let broken = pb::ListCustomersRequest {
        page_token: "x".to_owned(),
        ..Default::default()
    };
    malformed(&stack, &["page_token"], client.list_customers(broken)).await;
    let below_zero = pb::ListCustomersRequest {
        page_size: -1,
        ..Default::default()
    };
    malformed(&stack, &["page_size"], client.list_customers(below_zero)).await;
    let no_token = pb::ListCustomersRequest {
        consistency_token: "x".to_owned(),
        ..Default::default()
    };
    malformed(
        &stack,
        &["consistency_token"],
        client.list_customers(no_token),
    )
    .await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_come_so_far_says_so_at_the_deadline() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let answer = client
        .register_customer(known_since(0, 1))
        .await
        .unwrap()
        .into_inner();
    let (log_and_epoch, positions) = answer.consistency_token.rsplit_once('.').unwrap();
    let (partition, _) = positions.split_once('-').unwrap();
    let mut request = tonic::Request::new(pb::ListCustomersRequest {
        consistency_token: format!("{log_and_epoch}.{partition}-1000"),
        ..Default::default()
    });
    request.set_timeout(std::time::Duration::from_secs(1));
    let status = client.list_customers(request).await.unwrap_err();
    assert!(
        matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{status:?}"
    );
    let other_epoch = pb::ListCustomersRequest {
        consistency_token: format!("customers.99.{partition}-1"),
        ..Default::default()
    };
    refused(
        &stack,
        Code::FailedPrecondition,
        "OTHER_EPOCH",
        client.list_customers(other_epoch),
    )
    .await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rebuilt_from_zero_or_applied_twice_the_list_is_the_same() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let birgul = register(&mut client, employee()).await;
    for id in 1..=30 {
        let customer = register(&mut client, known_since(i64::try_from(id).unwrap(), id)).await;
        let name = pb::Profile {
            family_name: format!("Yılmaz {id}"),
            ..ayse()
        };
        client
            .update_profile(update(&customer, name, &["family_name", "locale"]))
            .await
            .unwrap();
        client
            .add_identifier(addition(&customer, email(&format!("c{id}@example.com"))))
            .await
            .unwrap();
        client
            .record_consent(consent(&customer, FIRST))
            .await
            .unwrap();
        client
            .assign_owner(assign_owner(&customer, &birgul))
            .await
            .unwrap();
        if id % 2 == 0 {
            client
                .release_owner(release_owner(&customer))
                .await
                .unwrap();
        }
        client
            .assign_team(assign_team(&customer, "key-accounts"))
            .await
            .unwrap();
        let lost = change_stage(&customer, pb::LifecycleStage::Lost, "price");
        client.change_lifecycle_stage(lost).await.unwrap();
    }
    stack.applied(PROJECTION, stack.events().await).await;
    let before = stack.rows("customer_list").await;
    assert_eq!(before.len(), 31);
    let found = pages(&mut client, 100, "").await;
    for customer in &found[0] {
        let mut whole = get(&mut client, &customer.customer_id).await;
        (whole.identifiers, whole.consents) = (Vec::new(), Vec::new());
        assert_eq!(customer, &whole, "the list shows what the stream tells");
    }

    let stack = stack.rebuilt(&[PROJECTION], &["customer_list"]).await;
    let rows = stack.rows("customer_list").await;
    assert_eq!(rows, before, "rebuilt from zero");
    let stack = stack.rebuilt(&[PROJECTION], &[]).await;
    let rows = stack.rows("customer_list").await;
    assert_eq!(rows, before, "applied twice");
    stack
        .remade(customers::projections, &[&stack.interactions])
        .await;
    let rows = stack.rows("customer_list").await;
    assert_eq!(rows, before, "made anew beside the live one");
    stack.stop().await;
}
