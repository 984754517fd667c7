//! Every read model, applied twice and rebuilt from zero, holds the same rows.

use aggregate::{CustomerId, TenantId};
use contracts::customers::v1::{Channel, Purpose};
use event_log::EventLog;
use testing::{log, stack::tenant};
use time::{Duration, OffsetDateTime, macros::datetime};

use crate::{
    peers::{
        absorbs, buys, calls, consents, consents_come, consents_to, is_erased, is_merged,
        is_restricted, is_separated, is_unmerged, registers, restriction_lifted, returns,
        withdraws,
    },
    requests::{campaign, create, get, run, running, start_as_of, strangers},
    stack::Stack,
};

const TABLES: [&str; 8] = [
    "campaign",
    "decision",
    "decision_count",
    "consent",
    "restriction",
    "purchase",
    "merger",
    "absorbed",
];
const PROJECTIONS: [&str; 3] = [
    "campaigns.campaigns",
    "campaigns.consents",
    "campaigns.purchases",
];

async fn caught_up(stack: &Stack) {
    let logs = [
        stack.events().await,
        log::events(&stack.customers).await,
        log::events(&stack.interactions).await,
    ];
    for (projection, events) in PROJECTIONS.into_iter().zip(logs) {
        stack.applied(projection, events).await;
    }
}

/// One is merged into another; a third was too, with a consent, and that is undone.
async fn merge_some(log: &EventLog, people: &[CustomerId], at: OffsetDateTime) {
    let [survivor, stays, goes] = [people[0], people[1], people[2]];
    is_merged(log, stays, survivor, at).await;
    absorbs(log, survivor, &[stays], at).await;
    is_merged(log, goes, survivor, at).await;
    absorbs(log, survivor, &[goes], at).await;
    consents_come(log, survivor, goes, at).await;
    is_separated(log, survivor, &[goes], at).await;
    is_unmerged(log, goes, survivor, at).await;
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
        if n % 5 > 2 {
            is_restricted(&stack.customers, *customer, at).await;
        }
        if n % 5 > 3 {
            restriction_lifted(&stack.customers, *customer, at + Duration::DAY).await;
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
        if n % 7 > 5 {
            is_erased(&stack.customers, *customer, at + Duration::DAY).await;
        }
        if n % 2 > 0 {
            returns(&stack.interactions, *customer, at + Duration::DAY, 100).await;
            calls(&stack.interactions, *customer, at).await;
        }
    }
    merge_some(&stack.customers, &people, at + Duration::DAY).await;
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
    let past = running(&mut client, &past).await;
    caught_up(&stack).await;
    let rows = stack.dump(&TABLES).await;
    let sizes: Vec<_> = TABLES.into_iter().zip(rows.iter().map(Vec::len)).collect();
    assert_eq!(sizes[0], ("campaign", 3));
    assert_eq!(sizes[1], ("decision", 60));
    assert_eq!(sizes[3], ("consent", 37));
    assert_eq!(sizes[4], ("restriction", 17));
    assert_eq!(sizes[5], ("purchase", 45));
    assert_eq!(sizes[6], ("merger", 3));
    assert_eq!(sizes[7], ("absorbed", 1));

    let stack = stack.rebuilt(&PROJECTIONS, &[]).await;
    assert_eq!(stack.dump(&TABLES).await, rows, "applied twice");
    let stack = stack.rebuilt(&PROJECTIONS, &TABLES).await;
    assert_eq!(stack.dump(&TABLES).await, rows, "rebuilt from zero");
    let (written, others) = (
        stack.written().await,
        [&stack.customers, &stack.interactions],
    );
    stack.remade(campaigns::projections, &others).await;
    assert_eq!(stack.dump(&TABLES).await, rows, "beside the live one");
    assert_eq!(
        stack.written().await,
        written,
        "a rebuild decided something"
    );
    let mut client = stack.client();
    for campaign in [real, past] {
        assert_eq!(get(&mut client, &campaign.campaign_id).await, campaign);
    }
    stack.stop().await;
}
