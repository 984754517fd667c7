//! Filters and orders of the list.

use contracts::customers::v1 as pb;
use testing::refusal::malformed;
use time::{Duration, OffsetDateTime, macros::datetime};
use uuid::Uuid;

use crate::{
    requests::{
        assign_owner, assign_team, ayse, change_stage, employee, moment, register, registration,
    },
    stack::{Client, Stack},
};

const FIRST: OffsetDateTime = datetime!(2024-01-01 00:00 UTC);

fn listing(filter: &str, order_by: &str) -> pb::ListCustomersRequest {
    pb::ListCustomersRequest {
        filter: filter.to_owned(),
        order_by: order_by.to_owned(),
        ..pb::ListCustomersRequest::default()
    }
}

/// The last digits of the ids of those who are listed, over pages of two.
async fn listed(client: &mut Client, request: pb::ListCustomersRequest) -> Vec<u128> {
    let mut request = pb::ListCustomersRequest {
        page_size: 2,
        ..request
    };
    let mut ids = Vec::new();
    loop {
        let page = client
            .list_customers(request.clone())
            .await
            .unwrap()
            .into_inner();
        let page_ids = page.customers.iter();
        ids.extend(page_ids.map(|one| Uuid::parse_str(&one.customer_id).unwrap().as_u128()));
        if page.next_page_token.is_empty() {
            return ids;
        }
        request.page_token = page.next_page_token;
    }
}

/// Five customers, registered a day after the other, two of them on the last: 1 is an employee, who owns 2; a team serves 2 and 3; 4 is a business
/// in Germany; 3 and 5 are lost, 5 before 3.
async fn five(client: &mut Client) -> String {
    for id in 1..=5u128 {
        let days = i64::try_from(id.min(4)).unwrap();
        let mut request = pb::RegisterCustomerRequest {
            customer_id: Uuid::from_u128(id).to_string(),
            registered_time: moment(FIRST + Duration::days(days)),
            ..if id == 1 { employee() } else { registration() }
        };
        if id == 4 {
            request.kind = pb::CustomerKind::Business.into();
            request.profile = Some(pb::Profile {
                legal_name: "Müller 100% GmbH".to_owned(),
                country_code: "DE".to_owned(),
                ..pb::Profile::default()
            });
        }
        register(client, request).await;
    }
    let id = |id: u128| Uuid::from_u128(id).to_string();
    let mut tokens = Vec::new();
    let owned = client
        .assign_owner(assign_owner(&id(2), &id(1)))
        .await
        .unwrap();
    tokens.push(owned.into_inner().consistency_token);
    for (customer, team) in [(2, "key-accounts"), (3, "kiosk")] {
        let answer = client
            .assign_team(assign_team(&id(customer), team))
            .await
            .unwrap();
        tokens.push(answer.into_inner().consistency_token);
    }
    for (customer, days) in [(5, 10), (3, 20)] {
        let lost = pb::ChangeLifecycleStageRequest {
            effective_time: moment(FIRST + Duration::days(days)),
            ..change_stage(&id(customer), pb::LifecycleStage::Lost, "price")
        };
        let answer = client.change_lifecycle_stage(lost).await.unwrap();
        tokens.push(answer.into_inner().consistency_token);
    }
    tokens.join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_takes_those_of_whom_it_is_true() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let waiting = pb::ListCustomersRequest {
        consistency_token: five(&mut client).await,
        ..pb::ListCustomersRequest::default()
    };
    assert_eq!(listed(&mut client, waiting).await, [1, 2, 3, 4, 5]);
    let one = Uuid::from_u128(1);
    for (filter, expected) in [
        ("kind = CUSTOMER_KIND_BUSINESS".to_owned(), vec![4]),
        ("affiliation != CUSTOMER_AFFILIATION_INTERNAL".to_owned(), vec![2, 3, 4, 5]),
        ("lifecycle.stage = LIFECYCLE_STAGE_LOST".to_owned(), vec![3, 5]),
        ("lifecycle.reason = price".to_owned(), vec![3, 5]),
        (format!("owner.employee_id = {one}"), vec![2]),
        (format!("owner.employee_id != {one}"), vec![1, 3, 4, 5]),
        ("owner.role = representative".to_owned(), vec![2]),
        ("owner:*".to_owned(), vec![2]),
        ("NOT team:*".to_owned(), vec![1, 4, 5]),
        ("team = \"k*\"".to_owned(), vec![2, 3]),
        ("team = \"*i_sk\"".to_owned(), vec![]),
        ("team != kiosk".to_owned(), vec![1, 2, 4, 5]),
        ("profile.country_code = DE".to_owned(), vec![4]),
        ("profile.locale = \"tr-TR\" -team:*".to_owned(), vec![1, 5]),
        ("profile.time_zone = \"Europe/*\"".to_owned(), vec![1, 2, 3, 5]),
        ("registered_time > \"2024-01-02T00:00:00Z\" AND registered_time <= \"2024-01-04T03:00:00+03:00\"".to_owned(), vec![2, 3]),
        ("registered_time = \"2024-01-05T00:00:00Z\"".to_owned(), vec![4, 5]),
        ("lifecycle.since_time >= \"2024-01-11T00:00:00Z\"".to_owned(), vec![3, 5]),
        ("NOT (owner.since_time < \"2100-01-01T00:00:00Z\")".to_owned(), vec![1, 3, 4, 5]),
        ("lifecycle.stage = LIFECYCLE_STAGE_LOST AND (team:* OR kind = CUSTOMER_KIND_BUSINESS)".to_owned(), vec![3]),
        ("team:* AND team = kiosk OR kind = CUSTOMER_KIND_BUSINESS".to_owned(), vec![3]),
    ] {
        assert_eq!(listed(&mut client, listing(&filter, "")).await, expected, "{filter}");
    }
    let elsewhere = &mut stack.client_of("other", &["customers.read"]);
    let lost = listing("lifecycle.stage = LIFECYCLE_STAGE_LOST", "");
    assert_eq!(listed(elsewhere, lost).await, Vec::<u128>::new());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_goes_on_over_pages() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let waiting = pb::ListCustomersRequest {
        consistency_token: five(&mut client).await,
        ..pb::ListCustomersRequest::default()
    };
    client.list_customers(waiting).await.unwrap();
    for (order_by, expected) in [
        ("registered_time", [1, 2, 3, 4, 5]),
        ("registered_time desc", [5, 4, 3, 2, 1]),
        ("lifecycle.since_time", [1, 2, 4, 5, 3]),
        (
            "lifecycle.since_time desc, registered_time",
            [3, 5, 4, 2, 1],
        ),
        (
            "registered_time desc, lifecycle.since_time",
            [4, 5, 3, 2, 1],
        ),
    ] {
        assert_eq!(
            listed(&mut client, listing("", order_by)).await,
            expected,
            "{order_by}"
        );
    }
    let filtered = listing("NOT team:*", "registered_time desc");
    assert_eq!(listed(&mut client, filtered).await, [5, 4, 1]);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_list_that_nobody_can_make() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let waiting = pb::ListCustomersRequest {
        consistency_token: five(&mut client).await,
        page_size: 2,
        ..listing("registered_time >= \"2024-01-01T00:00:00Z\"", "")
    };
    let page = client
        .list_customers(waiting.clone())
        .await
        .unwrap()
        .into_inner();
    for (request, fields) in [
        (listing("team <", ""), vec!["filter"]),
        (listing("name = \"Ayşe\"", ""), vec!["filter"]),
        (listing("", "name"), vec!["order_by"]),
        (listing("team", "team"), vec!["filter", "order_by"]),
    ] {
        let status = malformed(&stack, &fields, client.list_customers(request)).await;
        assert!(!status.message().contains(&ayse().given_name), "{status:?}");
    }
    for other in [
        listing("registered_time > \"2024-01-01T00:00:00Z\"", ""),
        listing(
            "registered_time >= \"2024-01-01T00:00:00Z\"",
            "registered_time",
        ),
        listing("", ""),
    ] {
        let next = pb::ListCustomersRequest {
            page_token: page.next_page_token.clone(),
            ..other
        };
        malformed(&stack, &["page_token"], client.list_customers(next)).await;
    }
    stack.stop().await;
}
