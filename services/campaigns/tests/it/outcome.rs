//! Outcomes: what the arms bought after the campaign's moment, and the interval of the difference.

use aggregate::CustomerId;
use contracts::campaigns::v1 as pb;
use testing::{
    refusal::{malformed, refused},
    stack::tenant,
};
use time::{Duration, OffsetDateTime, macros::datetime};
use tonic::Code;

use crate::{
    peers::{buys, calls, consents, returns},
    requests::{
        campaign, create, decisions, moment, run, running, start_as_of, start_now, strangers,
    },
    stack::{Client, Stack},
};

const THEN: OffsetDateTime = datetime!(1997-09-30 23:59:59 UTC);

fn ask(campaign_id: &str) -> pb::GetOutcomeRequest {
    pb::GetOutcomeRequest {
        campaign_id: campaign_id.to_owned(),
        ..pb::GetOutcomeRequest::default()
    }
}

/// A campaign that looked back on so many customers who had all consented, with its arms.
async fn looked_back(
    stack: &Stack,
    client: &mut Client,
    count: usize,
    holdout_share: f64,
) -> (String, Vec<CustomerId>, Vec<CustomerId>) {
    let people = strangers(count);
    for customer in &people {
        consents(&stack.customers, *customer, THEN).await;
    }
    let mut request = campaign(stack.segmentation.define(&tenant(), &people));
    request.holdout_share = holdout_share;
    let id = create(client, request).await;
    client.start_campaign(start_as_of(&id, THEN)).await.unwrap();
    running(client, &id).await;
    let decided = decisions(client, &id, 1000).await;
    let arm = |verdict| {
        decided
            .iter()
            .filter(|decision| decision.verdict() == verdict)
            .map(|decision| decision.customer_id.parse().unwrap())
            .collect::<Vec<CustomerId>>()
    };
    (id, arm(pb::Verdict::Contact), arm(pb::Verdict::Holdout))
}

#[tokio::test]
async fn the_arms_are_measured_by_the_purchases_that_followed() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let (id, contacted, held_out) = looked_back(&stack, &mut client, 40, 0.4).await;
    assert!(
        contacted.len() >= 4 && held_out.len() >= 2,
        "{} {}",
        contacted.len(),
        held_out.len()
    );
    let log = &stack.interactions;
    let until = THEN + Duration::weeks(39);
    let instant = Duration::microseconds(1);
    // Three of the contacted buy in time: one twice, one gives something back, one at the last moment.
    buys(log, contacted[0], THEN + instant, 1000, "TRY").await;
    buys(log, contacted[0], THEN + Duration::DAY, 500, "TRY").await;
    buys(log, contacted[1], THEN + Duration::DAY, 2000, "TRY").await;
    returns(log, contacted[1], THEN + Duration::days(2), 300).await;
    buys(log, contacted[2], until, 70, "TRY").await;
    // One only gives back what was bought before: no buyer, and less than no revenue.
    returns(log, contacted[3], THEN + Duration::DAY, 50).await;
    // One of the held out buys in time; another one too early and too late.
    buys(log, held_out[0], THEN + Duration::DAY, 400, "TRY").await;
    buys(log, held_out[1], THEN, 9000, "TRY").await;
    calls(log, held_out[1], THEN + Duration::DAY).await;
    buys(log, held_out[1], until + instant, 9000, "TRY").await;
    // Somebody whom the campaign does not concern.
    let stranger = strangers(1)[0];
    let mut tokens = buys(log, stranger, THEN + Duration::DAY, 100_000, "TRY")
        .await
        .token;
    for customer in contacted.iter().chain(&held_out) {
        tokens.push(' ');
        tokens.push_str(&calls(log, *customer, until).await.token);
    }

    let outcome = client
        .get_outcome(pb::GetOutcomeRequest {
            until_time: moment(until),
            consistency_token: tokens.clone(),
            ..ask(&id)
        })
        .await
        .unwrap()
        .into_inner();
    let count = |arm: &[CustomerId]| u32::try_from(arm.len()).unwrap();
    let (n1, n2) = (count(&contacted), count(&held_out));
    let arm = |customers, buyers, purchases, revenue_minor| pb::ArmOutcome {
        customers,
        buyers,
        purchases,
        revenue_minor,
        rate: f64::from(buyers) / f64::from(customers),
    };
    assert_eq!(outcome.contacted, Some(arm(n1, 3, 4, 3220)));
    assert_eq!(outcome.held_out, Some(arm(n2, 1, 1, 400)));
    assert!(outcome.retrospective);
    assert_eq!(
        (outcome.currency_code.as_str(), outcome.confidence_level),
        ("TRY", 0.95)
    );
    let difference = 3.0 / f64::from(n1) - 1.0 / f64::from(n2);
    assert!((outcome.uplift - difference).abs() < 1e-12);
    assert!(
        outcome.uplift_lower < difference && difference < outcome.uplift_upper,
        "{outcome:?}"
    );

    let surer = client
        .get_outcome(pb::GetOutcomeRequest {
            until_time: moment(until),
            confidence_level: 0.99,
            ..ask(&id)
        })
        .await
        .unwrap()
        .into_inner();
    assert!(surer.uplift_lower < outcome.uplift_lower && outcome.uplift_upper < surer.uplift_upper);

    // Up to now, what came too late counts as well.
    let up_to_now = client.get_outcome(ask(&id)).await.unwrap().into_inner();
    assert_eq!(up_to_now.held_out, Some(arm(n2, 2, 2, 9400)));
    stack.stop().await;
}

#[tokio::test]
async fn nobody_bought_is_an_outcome_too() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let (id, ..) = looked_back(&stack, &mut client, 30, 0.5).await;
    let outcome = client.get_outcome(ask(&id)).await.unwrap().into_inner();
    assert_eq!((outcome.uplift, outcome.currency_code.as_str()), (0.0, ""));
    assert!(
        outcome.uplift_lower < 0.0 && 0.0 < outcome.uplift_upper,
        "{outcome:?}"
    );
    stack.stop().await;
}

#[tokio::test]
async fn an_outcome_that_cannot_be_told_is_refused() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let segment = stack.segmentation.define(&tenant(), &strangers(1));
    let draft = create(&mut client, campaign(segment)).await;
    let call = client.get_outcome(ask(&draft));
    refused(&stack, Code::FailedPrecondition, "NOT_STARTED", call).await;

    // Nobody consented: both arms are empty.
    let nobody = run(&mut client, campaign(segment)).await.campaign_id;
    let call = client.get_outcome(ask(&nobody));
    let status = refused(&stack, Code::FailedPrecondition, "EMPTY_ARM", call).await;
    assert!(status.message().contains("contacted"), "{status:?}");

    // Nobody was held out.
    let (all, contacted, _) = looked_back(&stack, &mut client, 3, 0.0).await;
    let call = client.get_outcome(ask(&all));
    let status = refused(&stack, Code::FailedPrecondition, "EMPTY_ARM", call).await;
    assert!(status.message().contains("held out"), "{status:?}");

    buys(
        &stack.interactions,
        contacted[0],
        THEN + Duration::DAY,
        1,
        "TRY",
    )
    .await;
    let token = buys(
        &stack.interactions,
        contacted[0],
        THEN + Duration::DAY,
        1,
        "USD",
    )
    .await
    .token;
    let call = client.get_outcome(pb::GetOutcomeRequest {
        consistency_token: token,
        ..ask(&all)
    });
    refused(&stack, Code::FailedPrecondition, "MIXED_CURRENCIES", call).await;

    stack.segmentation.hold_after(0);
    client.start_campaign(start_now(&draft)).await.unwrap();
    let call = client.get_outcome(ask(&draft));
    refused(
        &stack,
        Code::FailedPrecondition,
        "AUDIENCE_NOT_DECIDED",
        call,
    )
    .await;
    stack.segmentation.release();
    stack.stop().await;
}

#[tokio::test]
async fn a_malformed_question_is_refused_at_the_field() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let (id, ..) = looked_back(&stack, &mut client, 2, 0.0).await;
    let mut no_moment = ask(&id);
    no_moment.until_time = Some(prost_types::Timestamp {
        seconds: 0,
        nanos: -1,
    });
    let until = |at| pb::GetOutcomeRequest {
        until_time: moment(at),
        ..ask(&id)
    };
    let level = |confidence_level| pb::GetOutcomeRequest {
        confidence_level,
        ..ask(&id)
    };
    let mut wrong_token = ask(&id);
    wrong_token.consistency_token = "x".to_owned();
    for (field, request) in [
        ("campaign_id", ask("x")),
        ("until_time", no_moment),
        ("until_time", until(THEN)),
        ("until_time", until(THEN - Duration::DAY)),
        ("confidence_level", level(0.5)),
        ("confidence_level", level(1.0)),
        ("confidence_level", level(f64::NAN)),
        ("consistency_token", wrong_token),
    ] {
        malformed(&stack, &[field], client.get_outcome(request)).await;
    }
    stack.stop().await;
}
