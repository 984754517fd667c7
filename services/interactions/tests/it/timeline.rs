//! The timeline: everything of one customer, newest first, in pages, as of a moment, and again from zero.

use aggregate::CustomerId;
use contracts::interactions::v1::{self as pb, timeline_entry::Interaction};
use testing::refusal::{malformed, refused};
use time::Duration;
use tonic::{Code, Status};

use crate::{
    requests::{FIRST, moment, purchase, record, touch, touchpoint},
    stack::{Client, Stack},
};

const PROJECTION: &str = "interactions.timeline";

/// The first page.
pub(crate) async fn list(client: &mut Client, customer: CustomerId) -> pb::ListTimelineResponse {
    ask(client, request(customer)).await.unwrap()
}

/// The contacts of a page.
pub(crate) fn contacts(page: &pb::ListTimelineResponse) -> Vec<pb::Touchpoint> {
    let contact = |entry: &pb::TimelineEntry| match entry.interaction.clone()? {
        Interaction::Purchase(_) => None,
        Interaction::Touchpoint(contact) => Some(contact),
    };
    page.entries.iter().filter_map(contact).collect()
}

fn request(customer: CustomerId) -> pb::ListTimelineRequest {
    pb::ListTimelineRequest {
        customer_id: customer.to_string(),
        ..pb::ListTimelineRequest::default()
    }
}

async fn ask(
    client: &mut Client,
    request: pb::ListTimelineRequest,
) -> Result<pb::ListTimelineResponse, Status> {
    client
        .list_timeline(request)
        .await
        .map(tonic::Response::into_inner)
}

fn source_ids(page: &pb::ListTimelineResponse) -> Vec<String> {
    let id = |entry: &pb::TimelineEntry| match entry.interaction.as_ref().unwrap() {
        Interaction::Purchase(purchase) => purchase.source_id.clone(),
        Interaction::Touchpoint(contact) => contact.source_id.clone(),
    };
    page.entries.iter().map(id).collect()
}

/// Records `count` purchases, one a day, numbered from 0, and gives the token of the last.
async fn buy_daily(client: &mut Client, customer: CustomerId, count: i64) -> String {
    let mut token = String::new();
    for n in 0..count {
        let mut sent = purchase(customer, &n.to_string());
        sent.occurred_time = moment(FIRST + Duration::days(n));
        token = record(client, sent)
            .await
            .unwrap()
            .into_inner()
            .consistency_token;
    }
    token
}

#[tokio::test]
async fn shows_purchases_and_contacts_as_they_were_sent_newest_first() {
    let stack = Stack::start().await;
    let (mut client, customer) = (stack.client(), stack.customer());
    let mut returned = purchase(customer, "back");
    returned.kind = pb::PurchaseKind::Return.into();
    returned.occurred_time = moment(FIRST + Duration::days(1));
    // Sent in another order than it happened.
    record(&mut client, returned.clone()).await.unwrap();
    record(&mut client, purchase(customer, "bought"))
        .await
        .unwrap();
    let last = touch(&mut client, touchpoint(customer, "called"))
        .await
        .unwrap()
        .into_inner();
    record(&mut client, purchase(stack.customer(), "somebody else's"))
        .await
        .unwrap();

    let page = pb::ListTimelineRequest {
        consistency_token: last.consistency_token,
        ..request(customer)
    };
    let page = ask(&mut client, page).await.unwrap();
    let shown: Vec<_> = page
        .entries
        .iter()
        .map(|entry| entry.interaction.clone().unwrap())
        .collect();
    let expected = [
        Interaction::Purchase(returned),
        Interaction::Touchpoint(touchpoint(customer, "called")),
        Interaction::Purchase(purchase(customer, "bought")),
    ];
    assert_eq!(shown, expected);
    assert_eq!(page.entries[2].occurred_time, moment(FIRST));
    assert!(
        page.entries[2].received_time.unwrap().seconds
            > page.entries[2].occurred_time.unwrap().seconds
    );
    assert_eq!(page.next_page_token, "");
    stack.stop().await;
}

#[tokio::test]
async fn pages_hold_each_interaction_once_also_those_of_one_moment() {
    let stack = Stack::start().await;
    let (mut client, customer) = (stack.client(), stack.customer());
    let mut token = buy_daily(&mut client, customer, 4).await;
    for n in 4..10 {
        // All at one moment: their order is that of their ids.
        token = record(&mut client, purchase(customer, &n.to_string()))
            .await
            .unwrap()
            .into_inner()
            .consistency_token;
    }
    let whole = pb::ListTimelineRequest {
        consistency_token: token,
        ..request(customer)
    };
    let whole = source_ids(&ask(&mut client, whole).await.unwrap());
    assert_eq!(whole[..3], ["3", "2", "1"]);
    assert_eq!(whole.len(), 10);

    for page_size in [1, 3, 10, 11] {
        let mut paged = Vec::new();
        let mut next = pb::ListTimelineRequest {
            page_size,
            ..request(customer)
        };
        // One round more than there are entries, should the pages never end.
        for _ in 0..=whole.len() {
            let page = ask(&mut client, next.clone()).await.unwrap();
            assert!(page.entries.len() <= usize::try_from(page_size).unwrap());
            paged.extend(source_ids(&page));
            if page.next_page_token.is_empty() {
                break;
            }
            next.page_token = page.next_page_token;
        }
        assert_eq!(paged, whole, "pages of {page_size}");
    }
    stack.stop().await;
}

#[tokio::test]
async fn as_of_a_moment_shows_what_had_happened_by_then() {
    let stack = Stack::start().await;
    let (mut client, customer) = (stack.client(), stack.customer());
    let consistency_token = buy_daily(&mut client, customer, 4).await;
    let at = |moment_of, page_size| pb::ListTimelineRequest {
        as_of: moment(moment_of),
        page_size,
        consistency_token: consistency_token.clone(),
        ..request(customer)
    };
    let second = FIRST + Duration::days(1);
    let page = ask(&mut client, at(second, 0)).await.unwrap();
    assert_eq!(source_ids(&page), ["1", "0"]);
    let page = ask(&mut client, at(second - Duration::MICROSECOND, 0))
        .await
        .unwrap();
    assert_eq!(source_ids(&page), ["0"]);
    let before = ask(&mut client, at(FIRST - Duration::MICROSECOND, 0))
        .await
        .unwrap();
    assert_eq!(before, pb::ListTimelineResponse::default());

    let page = ask(&mut client, at(second, 1)).await.unwrap();
    let rest = pb::ListTimelineRequest {
        page_token: page.next_page_token.clone(),
        ..at(second, 1)
    };
    assert_eq!(source_ids(&ask(&mut client, rest).await.unwrap()), ["0"]);
    // A page token goes on with its own query only.
    for other in [at(FIRST, 1), request(customer), request(stack.customer())] {
        let other = pb::ListTimelineRequest {
            page_token: page.next_page_token.clone(),
            ..other
        };
        malformed(&stack, &["page_token"], ask(&mut client, other)).await;
    }
    stack.stop().await;
}

#[tokio::test]
async fn malformed_and_foreign_requests_are_refused() {
    let stack = Stack::start().await;
    let (mut client, customer) = (stack.client(), stack.customer());
    let good = request(customer);
    let as_of = Some(prost_types::Timestamp {
        seconds: i64::MAX,
        nanos: 0,
    });
    let cases = [
        (
            vec!["customer_id", "as_of"],
            pb::ListTimelineRequest {
                customer_id: "x".into(),
                as_of,
                ..good.clone()
            },
        ),
        (
            vec!["page_size"],
            pb::ListTimelineRequest {
                page_size: -1,
                ..good.clone()
            },
        ),
        (
            vec!["page_token"],
            pb::ListTimelineRequest {
                page_token: "x".into(),
                ..good.clone()
            },
        ),
        (
            vec!["consistency_token"],
            pb::ListTimelineRequest {
                consistency_token: "x".into(),
                ..good.clone()
            },
        ),
    ];
    for (expected, request) in cases {
        malformed(&stack, &expected, ask(&mut client, request)).await;
    }
    let nobody = request(CustomerId(uuid::Uuid::new_v4()));
    refused(
        &stack,
        Code::NotFound,
        "NOT_FOUND",
        ask(&mut client, nobody),
    )
    .await;
    let mut foreign = stack.client_of("other", &["*"]);
    refused(
        &stack,
        Code::NotFound,
        "NOT_FOUND",
        ask(&mut foreign, good.clone()),
    )
    .await;
    for (mut client, code, reason) in stack.outsiders(&["interactions.write"]) {
        refused(&stack, code, reason, ask(&mut client, good.clone())).await;
    }
    // A known customer without interactions has an empty timeline.
    assert_eq!(
        ask(&mut client, good).await.unwrap(),
        pb::ListTimelineResponse::default()
    );
    stack.stop().await;
}

#[tokio::test]
async fn applied_twice_and_from_zero_gives_the_same_rows() {
    let stack = Stack::start().await;
    let (mut client, customer) = (stack.client(), stack.customer());
    buy_daily(&mut client, customer, 20).await;
    for n in 0..5 {
        touch(&mut client, touchpoint(stack.customer(), &n.to_string()))
            .await
            .unwrap();
    }
    let rows = stack.rows_once("timeline", 25).await;

    stack.applied(PROJECTION, 25).await;
    let stack = stack.rebuilt(&[PROJECTION], &[]).await;
    assert_eq!(stack.rows("timeline").await, rows, "applied twice");
    let stack = stack.rebuilt(&[PROJECTION], &["timeline"]).await;
    assert_eq!(stack.rows("timeline").await, rows, "from zero");
    stack.stop().await;
}
