//! Every read model, applied twice and rebuilt from zero, holds the same rows.

use aggregate::TenantId;
use contracts::customers::v1::{Channel, Purpose};
use time::{Duration, macros::datetime};

use crate::{
    peers::{buys, calls, consents, consents_to, registers, returns, withdraws},
    requests::{campaign, create, get, run, start_as_of, strangers},
    stack::{Stack, tenant},
};

const TABLES: [&str; 5] = [
    "campaign",
    "decision",
    "decision_count",
    "consent",
    "purchase",
];
const PROJECTIONS: [&str; 3] = [
    "campaigns.campaigns",
    "campaigns.consents",
    "campaigns.purchases",
];

async fn caught_up(stack: &Stack) {
    let logs = [
        stack.written().await.0,
        total(&stack.customers).await,
        total(&stack.interactions).await,
    ];
    for (projection, events) in PROJECTIONS.into_iter().zip(logs) {
        stack.applied(projection, events).await;
    }
}

async fn total(log: &event_log::EventLog) -> i64 {
    log.heads().await.unwrap().values().sum()
}

async fn all_rows(stack: &Stack) -> Vec<(&'static str, Vec<String>)> {
    let mut rows = Vec::new();
    for table in TABLES {
        rows.push((table, stack.rows(table).await));
    }
    rows
}

#[tokio::test]
async fn applied_twice_and_from_zero_gives_the_same_rows() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let people = strangers(30);
    let at = datetime!(2026-01-01 0:00 UTC);
    let other = TenantId::parse("other").unwrap();
    for (n, customer) in people.iter().enumerate() {
        registers(&stack.customers, *customer, at).await;
        if n % 3 > 0 {
            consents(&stack.customers, *customer, at).await;
        }
        if n % 3 > 1 {
            withdraws(&stack.customers, *customer, at + Duration::DAY).await;
            consents_to(
                &stack.customers,
                &other,
                *customer,
                Channel::Sms,
                Purpose::Research,
                at,
            )
            .await;
        }
        buys(
            &stack.interactions,
            *customer,
            at + Duration::DAY,
            100,
            "TRY",
        )
        .await;
        if n % 2 > 0 {
            returns(&stack.interactions, *customer, at + Duration::DAY, 100).await;
            calls(&stack.interactions, *customer, at).await;
        }
    }
    let segment = stack.segmentation.define(&tenant(), &people);
    let mut request = campaign(segment);
    request.holdout_share = 0.5;
    create(&mut client, request.clone()).await;
    let real = run(&mut client, request.clone()).await;
    let past = create(&mut client, request).await;
    client
        .start_campaign(start_as_of(&past, at + Duration::HOUR))
        .await
        .unwrap();
    let past = crate::requests::running(&mut client, &past).await;
    caught_up(&stack).await;
    let rows = all_rows(&stack).await;
    let sizes: Vec<_> = rows
        .iter()
        .map(|(table, rows)| (*table, rows.len()))
        .collect();
    assert_eq!(sizes[0], ("campaign", 3));
    assert_eq!(sizes[1], ("decision", 60));
    assert_eq!(sizes[3], ("consent", 40));
    assert_eq!(sizes[4], ("purchase", 45));

    let forget = "delete from checkpoint where projection like 'campaigns.%'";
    let stack = stack
        .restart(async |pool| {
            sqlx::query(forget).execute(pool).await.unwrap();
        })
        .await;
    caught_up(&stack).await;
    assert_eq!(all_rows(&stack).await, rows, "applied twice");
    let stack = stack
        .restart(async |pool| {
            let truncate = format!("truncate {}", TABLES.join(", "));
            sqlx::query(sqlx::AssertSqlSafe(truncate))
                .execute(pool)
                .await
                .unwrap();
            sqlx::query(forget).execute(pool).await.unwrap();
        })
        .await;
    caught_up(&stack).await;
    assert_eq!(all_rows(&stack).await, rows, "rebuilt from zero");
    let mut client = stack.client();
    for campaign in [real, past] {
        assert_eq!(get(&mut client, &campaign.campaign_id).await, campaign);
    }
    stack.stop().await;
}
