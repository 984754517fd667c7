//! Deciding goes on where it was left, whatever was in its way.

use contracts::campaigns::v1 as pb;
use testing::{
    eventually,
    stack::{SOON, tenant},
};
use time::macros::datetime;

use crate::{
    peers::consents,
    requests::{campaign, create, decisions, get, running, start_now, strangers},
    stack::Stack,
};

#[tokio::test]
async fn a_service_that_stops_midway_goes_on_without_doubling_anything() {
    let stack = Stack::start().await;
    let people = strangers(100);
    for customer in &people {
        consents(&stack.customers, *customer, datetime!(2026-01-01 0:00 UTC)).await;
    }
    let segment = stack.segmentation.define(&tenant(), &people);
    stack.segmentation.limit_pages(&tenant(), segment, 40);
    stack.segmentation.hold_after(1);
    let mut client = stack.client();
    let mut request = campaign(segment);
    request.holdout_share = 0.5;
    let id = create(&mut client, request).await;
    client.start_campaign(start_now(&id)).await.unwrap();
    let halfway = eventually(SOON, "the decisions of the first page", || async {
        let campaign = get(&mut client.clone(), &id).await;
        (campaign.decided == 40).then_some(campaign)
    })
    .await;
    assert_eq!(halfway.state(), pb::CampaignState::Deciding);
    let decided_before = decisions(&mut client, &id, 100).await;

    let stack = stack.restart(async |_| ()).await;
    let mut client = stack.client();
    stack.segmentation.release();
    let campaign = running(&mut client, &id).await;
    assert_eq!(
        (campaign.decided, campaign.contacted + campaign.held_out),
        (100, 100)
    );
    let decided = decisions(&mut client, &id, 1000).await;
    assert_eq!(decided[..40], decided_before[..]);
    // Created, started, decided, and one decision for each customer.
    assert_eq!(stack.written().await, (103, 0));
    stack.stop().await;
}

#[tokio::test]
async fn a_peer_that_is_away_is_waited_for() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let people = strangers(3);
    let segment = stack.segmentation.define(&tenant(), &people);
    stack.segmentation.fail(3);
    let id = create(&mut client, campaign(segment)).await;
    client.start_campaign(start_now(&id)).await.unwrap();
    assert_eq!(running(&mut client, &id).await.decided, 3);
    assert_eq!(stack.segmentation.asked().len(), 4);
    stack.stop().await;
}

#[tokio::test]
async fn campaigns_that_cannot_go_on_stand_in_no_other_s_way() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    // More of them than are worked on at once.
    let mut stuck = String::new();
    for _ in 0..6 {
        let gone = stack.segmentation.define(&tenant(), &[]);
        stuck = create(&mut client, campaign(gone)).await;
        stack.segmentation.remove(&tenant(), gone);
        client.start_campaign(start_now(&stuck)).await.unwrap();
    }
    let segment = stack.segmentation.define(&tenant(), &strangers(2));
    let id = create(&mut client, campaign(segment)).await;
    client.start_campaign(start_now(&id)).await.unwrap();
    assert_eq!(running(&mut client, &id).await.decided, 2);
    assert_eq!(
        get(&mut client, &stuck).await.state(),
        pb::CampaignState::Deciding
    );
    stack.stop().await;
}

#[tokio::test]
async fn when_the_rule_changes_midway_everyone_is_asked_about_anew() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let people = strangers(30);
    let segment = stack.segmentation.define(&tenant(), &people[10..]);
    stack.segmentation.limit_pages(&tenant(), segment, 10);
    stack.segmentation.hold_after(1);
    let id = create(&mut client, campaign(segment)).await;
    client.start_campaign(start_now(&id)).await.unwrap();
    eventually(SOON, "the decisions of the first page", || async {
        (get(&mut client.clone(), &id).await.decided == 10).then_some(())
    })
    .await;
    // Now those belong to it, too, who stand before the page that was read.
    stack.segmentation.redefine(&tenant(), segment, &people);
    stack.segmentation.release();
    let campaign = running(&mut client, &id).await;
    assert_eq!((campaign.decided, campaign.segment_rule_version), (30, 4));
    stack.stop().await;
}

#[tokio::test]
async fn consents_that_are_on_their_way_are_waited_for() {
    let stack = Stack::start_with(&[("VEFA__PROJECTION__LEASE_MS", "300")]).await;
    // Somebody else holds the consents' partitions and does nothing.
    let stack = stack
        .restart(async |stack| {
            sqlx::query(
                "update checkpoint set owner = gen_random_uuid(), lease_until = now() + interval '1 hour'
                 where projection = 'campaigns.consents'",
            )
            .execute(&stack.pool)
            .await
            .unwrap();
        })
        .await;
    let mut client = stack.client();
    let people = strangers(1);
    let given = consents(&stack.customers, people[0], datetime!(2026-01-01 0:00 UTC)).await;
    let segment = stack.segmentation.define(&tenant(), &people);
    let id = create(&mut client, campaign(segment)).await;
    client.start_campaign(start_now(&id)).await.unwrap();
    // A campaign that waits for nothing is decided within this time.
    for _ in 0..100 {
        assert_eq!(
            get(&mut client, &id).await.state(),
            pb::CampaignState::Deciding
        );
    }
    assert_eq!(stack.segmentation.asked(), []);
    sqlx::query(
        "update checkpoint set lease_until = now() where projection = 'campaigns.consents'",
    )
    .execute(&stack.pool)
    .await
    .unwrap();
    assert_eq!(running(&mut client, &id).await.contacted, 1);
    let decided = decisions(&mut client, &id, 10).await;
    assert_eq!(decided[0].consent_event_id, given.event_id.to_string());
    stack.stop().await;
}
