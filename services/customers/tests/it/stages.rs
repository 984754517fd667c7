//! The stages of life to which purchases and silence move customers.

use aggregate::{CustomerId, StreamId, TenantId};
use contracts::{common::v1::EventMetadata, customers::v1 as pb, interactions::v1 as interactions};
use event_log::{Append, NewEvent, Stream};
use prost::Message as _;
use service::clock;
use testing::{
    eventually,
    stack::{SOON, TENANT},
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{
    requests::{change_stage, get, moment, register, registration},
    stack::{Client, Stack},
};

/// Somebody known for years.
async fn known_for_years(client: &mut Client) -> String {
    let request = pb::RegisterCustomerRequest {
        registered_time: moment(clock::now() - Duration::days(3000)),
        ..registration()
    };
    register(client, request).await
}

/// A purchase as interactions records it. Returns the id of the event.
async fn buys(stack: &Stack, tenant: &str, customer: &str, at: OffsetDateTime) -> Uuid {
    let (event_id, purchase_id) = (Uuid::now_v7(), Uuid::new_v4());
    let message = interactions::PurchaseRecorded {
        purchase_id: purchase_id.to_string(),
        customer_id: customer.to_owned(),
        source: "shop".to_owned(),
        source_id: purchase_id.to_string(),
        occurred_time: moment(at),
        received_time: moment(clock::now()),
        ..interactions::PurchaseRecorded::default()
    };
    record(stack, tenant, customer, purchase_id, event_id, message).await;
    event_id
}

/// The same of the usual tenant's customer.
pub(crate) async fn buys_at(stack: &Stack, customer: &str, at: OffsetDateTime) {
    buys(stack, TENANT, customer, at).await;
}

async fn record(
    stack: &Stack,
    tenant: &str,
    customer: &str,
    stream: Uuid,
    event_id: Uuid,
    message: interactions::PurchaseRecorded,
) {
    let tenant = TenantId::parse(tenant).unwrap();
    let customer: CustomerId = customer.parse().unwrap();
    let append = Append {
        stream: Stream::about_customer(&tenant, customer, StreamId(stream)).without_subject(),
        expected_version: 0,
        events: vec![NewEvent {
            event_id,
            type_: "vefa.interactions.v1.PurchaseRecorded",
            schema_version: 1,
            payload: message.encode_to_vec().into(),
            metadata: EventMetadata {
                correlation_id: "till-7".to_owned(),
                ..EventMetadata::default()
            }
            .encode_to_vec()
            .into(),
            occurred_at: clock::now(),
        }],
        new_key: None,
        erases: false,
    };
    testing::log::append(&stack.interactions, clock::now(), vec![append]).await;
}

async fn reaches(client: &Client, id: &str, stage: pb::LifecycleStage) -> pb::Lifecycle {
    eventually(SOON, &format!("{stage:?}"), || async {
        let lifecycle = get(&mut client.clone(), id).await.lifecycle.unwrap();
        (lifecycle.stage() == stage).then_some(lifecycle)
    })
    .await
}

/// When a customer is to be reviewed next.
async fn next_review(stack: &Stack, id: &str) -> Option<OffsetDateTime> {
    sqlx::query_scalar("select due_at from timer where key = 'stage/' || $1")
        .bind(id)
        .fetch_optional(&stack.pool)
        .await
        .unwrap()
}

/// To the microsecond, as PostgreSQL keeps it.
fn now() -> OffsetDateTime {
    let now = clock::now();
    now - Duration::nanoseconds(i64::from(now.nanosecond() % 1000))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_purchase_makes_a_prospect_active_and_says_what_caused_it() {
    let stack = Stack::start().await;
    let client = stack.client();
    let id = known_for_years(&mut client.clone()).await;
    let at = now() - Duration::days(3);
    let purchase = buys(&stack, TENANT, &id, at).await;
    let lifecycle = reaches(&client, &id, pb::LifecycleStage::Active).await;
    assert_eq!(lifecycle.since_time, moment(at));
    assert_eq!(lifecycle.reason, "purchase");
    let request = pb::ListChangesRequest {
        customer_id: id.clone(),
        ..pb::ListChangesRequest::default()
    };
    let changes = client.clone().list_changes(request).await.unwrap();
    let change = changes
        .into_inner()
        .changes
        .into_iter()
        .find(|change| change.event_type == "vefa.customers.v1.LifecycleStageChanged")
        .unwrap();
    assert_eq!(change.actor, "service:customers");
    assert_eq!(change.causation_id, purchase.to_string());
    assert_eq!(change.correlation_id, "till-7");
    // Silence is waited for.
    let due = eventually(SOON, "a review", || next_review(&stack, &id)).await;
    assert_eq!(due, at + Duration::days(365));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_by_whoever_is_active_moves_the_end_of_silence_and_nothing_else() {
    let stack = Stack::start().await;
    let client = stack.client();
    let id = known_for_years(&mut client.clone()).await;
    let first = now() - Duration::days(30);
    buys(&stack, TENANT, &id, first).await;
    reaches(&client, &id, pb::LifecycleStage::Active).await;
    let etag = get(&mut client.clone(), &id).await.etag;
    let last = now() - Duration::days(2);
    buys(&stack, TENANT, &id, last).await;
    buys(&stack, TENANT, &id, last - Duration::days(1)).await;
    stack.applied("customers.purchases", 3).await;
    // The timer that is set fires early, and finds out.
    let due = eventually(SOON, "a review", || next_review(&stack, &id)).await;
    assert_eq!(due, first + Duration::days(365));
    sqlx::query("update timer set due_at = now()")
        .execute(&stack.pool)
        .await
        .unwrap();
    eventually(SOON, "the next review", || async {
        let due = next_review(&stack, &id).await;
        (due == Some(last + Duration::days(365))).then_some(())
    })
    .await;
    assert_eq!(get(&mut client.clone(), &id).await.etag, etag);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_moves_a_customer_within_seconds_of_its_end_and_buying_brings_it_back() {
    let stack = Stack::start_with(&[("VEFA__LIFECYCLE__LAPSED_AFTER_DAYS", "1")]).await;
    let client = stack.client();
    let id = known_for_years(&mut client.clone()).await;
    let at = now() - Duration::days(1) + Duration::seconds(2);
    buys(&stack, TENANT, &id, at).await;
    reaches(&client, &id, pb::LifecycleStage::Active).await;
    let lapsed = reaches(&client, &id, pb::LifecycleStage::Lapsed).await;
    assert_eq!(lapsed.since_time, moment(at + Duration::days(1)));
    assert_eq!(lapsed.reason, "silence");
    let due = eventually(SOON, "a review", || next_review(&stack, &id)).await;
    assert_eq!(due, at + Duration::days(366));
    let back = now();
    buys(&stack, TENANT, &id, back).await;
    let active = reaches(&client, &id, pb::LifecycleStage::Active).await;
    assert_eq!(active.since_time, moment(back));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_leads_to_the_stage_where_it_ends_and_is_told_as_of_any_moment() {
    let stack = Stack::start().await;
    let client = stack.client();
    let id = known_for_years(&mut client.clone()).await;
    let bought = now() - Duration::days(1000);
    buys(&stack, TENANT, &id, bought).await;
    let lost = reaches(&client, &id, pb::LifecycleStage::Lost).await;
    assert_eq!(lost.since_time, moment(bought + Duration::days(730)));
    for (days, stage) in [
        (-1, pb::LifecycleStage::Prospect),
        (0, pb::LifecycleStage::Active),
        (364, pb::LifecycleStage::Active),
        (365, pb::LifecycleStage::Lapsed),
        (730, pb::LifecycleStage::Lost),
    ] {
        let request = pb::GetCustomerRequest {
            customer_id: id.clone(),
            as_of: moment(bought + Duration::days(days)),
        };
        let answer = client.clone().get_customer(request).await.unwrap();
        let then = answer.into_inner().customer.unwrap().lifecycle.unwrap();
        assert_eq!(then.stage(), stage, "{days} days later");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_said_to_be_active_is_waited_for_from_then_on() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = known_for_years(&mut client).await;
    let at = now() - Duration::days(10);
    let request = pb::ChangeLifecycleStageRequest {
        effective_time: moment(at),
        ..change_stage(&id, pb::LifecycleStage::Active, "contract")
    };
    client.change_lifecycle_stage(request).await.unwrap();
    let due = eventually(SOON, "a review", || async {
        // At first it is due at once.
        let due = next_review(&stack, &id).await;
        due.filter(|due| *due > clock::now() + Duration::days(1))
    })
    .await;
    assert_eq!(due, at + Duration::days(365));
    let request = change_stage(&id, pb::LifecycleStage::Lost, "price");
    client.change_lifecycle_stage(request).await.unwrap();
    eventually(SOON, "nothing to wait for", || async {
        let due = next_review(&stack, &id).await;
        due.is_none().then_some(())
    })
    .await;
    // Whoever was said to be lost comes back by buying.
    buys(&stack, TENANT, &id, clock::now()).await;
    reaches(&client, &id, pb::LifecycleStage::WonBack).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn purchases_of_another_tenant_move_nobody() {
    let stack = Stack::start().await;
    let client = stack.client();
    let id = known_for_years(&mut client.clone()).await;
    buys(&stack, "other", &id, now()).await;
    let mine = known_for_years(&mut client.clone()).await;
    buys(&stack, TENANT, &mine, now()).await;
    reaches(&client, &mine, pb::LifecycleStage::Active).await;
    eventually(SOON, "no review that is due", || async {
        let due: i64 = sqlx::query_scalar("select count(*) from timer where due_at <= now()")
            .fetch_one(&stack.pool)
            .await
            .unwrap();
        (due == 0).then_some(())
    })
    .await;
    let lifecycle = get(&mut client.clone(), &id).await.lifecycle.unwrap();
    assert_eq!(lifecycle.stage(), pb::LifecycleStage::Prospect);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_bought_while_the_service_was_away_counts_and_comes_out_the_same_from_zero() {
    let stack = Stack::start().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(known_for_years(&mut stack.client()).await);
    }
    let stack = stack
        .restart(async |stack| {
            for (days, id) in (1..).zip(&ids) {
                buys(stack, TENANT, id, now() - Duration::days(days * 150)).await;
                buys(stack, TENANT, id, now() - Duration::days(days * 100)).await;
            }
        })
        .await;
    let client = stack.client();
    for (id, stage) in ids.iter().zip([
        pb::LifecycleStage::Active,
        pb::LifecycleStage::Active,
        pb::LifecycleStage::Active,
        pb::LifecycleStage::Lapsed,
        pb::LifecycleStage::Lapsed,
    ]) {
        reaches(&client, id, stage).await;
    }
    stack
        .remade(customers::projections, &[&stack.interactions])
        .await;
    let written = stack.written().await;
    let rows = stack.rows("customer_purchases").await;
    let stack = stack.rebuilt(&["customers.purchases"], &[]).await;
    eventually(SOON, "no review that is due", || async {
        let due: i64 = sqlx::query_scalar("select count(*) from timer where due_at <= now()")
            .fetch_one(&stack.pool)
            .await
            .unwrap();
        (due == 0).then_some(())
    })
    .await;
    assert_eq!(stack.written().await, written);
    assert_eq!(stack.rows("customer_purchases").await, rows);
    stack.stop().await;
}
