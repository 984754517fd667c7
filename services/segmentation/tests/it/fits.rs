//! Fits: refused, repeated, resumed.

use contracts::segmentation::v1::{self as pb, MembershipCause};
use service::clock;
use testing::{
    eventually,
    refusal::{malformed, reason, refused},
    stack::SOON,
};
use time::Duration;
use tonic::Code;
use uuid::Uuid;

use crate::{
    cdnow::{CALIBRATION_END, LAST, feed_sample, fit_request},
    feed::{purchase_message, purchased, recorded},
    requests::{define, members, moment, moves},
    stack::Stack,
};

const CUSTOMERS: usize = 300;

#[tokio::test]
async fn a_fit_says_why_it_cannot_be_made() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let request = fit_request(&stack).await;
    refused(
        &stack,
        Code::FailedPrecondition,
        "NO_PURCHASES",
        client.fit_models(request),
    )
    .await;

    let customer = stack.register().await;
    let at = CALIBRATION_END - Duration::days(30);
    stack.record(purchased(customer, at, 1_000)).await;
    let request = fit_request(&stack).await;
    refused(
        &stack,
        Code::FailedPrecondition,
        "NO_REPEAT_PURCHASES",
        client.fit_models(request),
    )
    .await;

    // Everybody has bought in the same way: no finite parameters are the most likely ones.
    for day in [0, 10, 20] {
        stack
            .record(purchased(customer, at - Duration::days(day + 1), 1_000))
            .await;
    }
    let request = fit_request(&stack).await;
    let status = refused(
        &stack,
        Code::FailedPrecondition,
        "MODEL_NOT_DETERMINED",
        client.fit_models(request),
    )
    .await;
    assert!(
        status.message().contains("did not converge"),
        "{}",
        status.message()
    );

    let mut foreign = purchase_message(customer, at, 1_000);
    foreign.currency_code = "TRY".to_owned();
    stack.record(recorded(&foreign)).await;
    let request = fit_request(&stack).await;
    let status = refused(
        &stack,
        Code::FailedPrecondition,
        "MIXED_CURRENCIES",
        client.fit_models(request),
    )
    .await;
    assert!(
        status.message().contains("TRY, USD"),
        "{}",
        status.message()
    );
    stack.stop().await;
}

#[tokio::test]
async fn a_malformed_fit_is_refused_at_the_field() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let good = fit_request(&stack).await;
    let cases = [
        (
            "calibration_end_time",
            pb::FitModelsRequest {
                calibration_end_time: None,
                ..good.clone()
            },
        ),
        (
            "calibration_end_time",
            pb::FitModelsRequest {
                calibration_end_time: moment(clock::now() + Duration::minutes(1)),
                ..good.clone()
            },
        ),
        (
            "horizon_weeks",
            pb::FitModelsRequest {
                horizon_weeks: 521,
                ..good.clone()
            },
        ),
        (
            "request_id",
            pb::FitModelsRequest {
                request_id: "x".repeat(129),
                ..good.clone()
            },
        ),
        (
            "consistency_token",
            pb::FitModelsRequest {
                consistency_token: "x".to_owned(),
                ..good.clone()
            },
        ),
    ];
    for (field, request) in cases {
        malformed(&stack, &[field], client.fit_models(request)).await;
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_fit_is_answered_as_the_first_time() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    feed_sample(&stack, CUSTOMERS).await;
    let request = pb::FitModelsRequest {
        horizon_weeks: 52,
        ..fit_request(&stack).await
    };
    let first = client
        .fit_models(request.clone())
        .await
        .unwrap()
        .into_inner();
    let fit = first.fit.clone().unwrap();
    assert_eq!((fit.customers as usize, fit.horizon_weeks), (CUSTOMERS, 52));
    let written = stack.written().await;
    // One event for the fit, one for each customer.
    let scores = stack.rows("score").await;
    assert_eq!(scores.len(), CUSTOMERS);

    let waited_for_less = pb::FitModelsRequest {
        consistency_token: String::new(),
        ..request.clone()
    };
    let again = client
        .fit_models(waited_for_less)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again.fit, first.fit);
    assert_eq!(stack.written().await, written);
    let other = pb::FitModelsRequest {
        horizon_weeks: 10,
        ..request.clone()
    };
    let call = client.fit_models(other);
    refused(
        &stack,
        Code::AlreadyExists,
        "REQUEST_ID_REUSED_WITH_OTHER_CONTENT",
        call,
    )
    .await;

    for fit_id in [fit.fit_id.clone(), String::new()] {
        let got = client
            .get_fit(pb::GetFitRequest { fit_id })
            .await
            .unwrap()
            .into_inner();
        assert_eq!(got.fit.as_ref(), Some(&fit));
    }
    let mut stranger = stack.client_of("other", &["segmentation.*"]);
    for fit_id in [fit.fit_id.clone(), String::new()] {
        let call = stranger.get_fit(pb::GetFitRequest { fit_id });
        refused(&stack, Code::NotFound, "NOT_FOUND", call).await;
    }
    assert_validation_is_refused(&stack, &fit).await;
    stack.stop().await;
}

async fn assert_validation_is_refused(stack: &Stack, fit: &pb::Fit) {
    let mut client = stack.client();
    let good = pb::ValidateFitRequest {
        fit_id: fit.fit_id.clone(),
        until_time: moment(LAST),
        consistency_token: String::new(),
    };
    assert!(client.validate_fit(good.clone()).await.is_ok());
    let cases = [
        (
            "fit_id",
            pb::ValidateFitRequest {
                fit_id: "x".to_owned(),
                ..good.clone()
            },
        ),
        (
            "until_time",
            pb::ValidateFitRequest {
                until_time: None,
                ..good.clone()
            },
        ),
        (
            "until_time",
            pb::ValidateFitRequest {
                until_time: moment(CALIBRATION_END),
                ..good.clone()
            },
        ),
        (
            "until_time",
            pb::ValidateFitRequest {
                until_time: moment(clock::now() + Duration::minutes(1)),
                ..good.clone()
            },
        ),
    ];
    for (field, request) in cases {
        let call = client.validate_fit(request);
        malformed(stack, &[field], call).await;
    }
    let unknown = pb::ValidateFitRequest {
        fit_id: Uuid::new_v4().to_string(),
        ..good.clone()
    };
    refused(
        stack,
        Code::NotFound,
        "NOT_FOUND",
        client.validate_fit(unknown),
    )
    .await;
    let mut stranger = stack.client_of("other", &["segmentation.*"]);
    refused(
        stack,
        Code::NotFound,
        "NOT_FOUND",
        stranger.validate_fit(good),
    )
    .await;
}

/// Scores and memberships come from the log alone; a scoring that was cut short is finished, and gives nobody a second score.
#[tokio::test(flavor = "multi_thread")]
async fn scores_are_finished_after_a_crash_and_rebuilt_from_the_log() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let valuable = define(
        &mut client,
        "valuable",
        "measures.tier == \"most_valuable\"",
    )
    .await;
    feed_sample(&stack, CUSTOMERS).await;
    let fit = client
        .fit_models(fit_request(&stack).await)
        .await
        .unwrap()
        .into_inner()
        .fit
        .unwrap();
    let before = members(&stack, &mut client, &valuable).await;
    assert!(
        (CUSTOMERS / 5..CUSTOMERS / 4).contains(&before.len()),
        "{}",
        before.len()
    );
    let tables = ["member", "score", "valuation", "fit"];
    let rows = stack.dump(&tables).await;
    let written = stack.written().await;

    // As if the service had died before the last customers were marked: the scoring begins again.
    let stack = stack
        .restart(async |stack| {
            sqlx::query("update fit set scored = false")
                .execute(&stack.pool)
                .await
                .unwrap();
        })
        .await;
    eventually(SOON, "the fit to be scored", || async {
        (stack.rows("fit").await == rows[3]).then_some(())
    })
    .await;
    assert_eq!(stack.written().await, written, "somebody was scored twice");

    let log = stack.open_log().await;
    for damage in [
        "",
        "delete from score where rfm_r > 2",
        "truncate member, score, valuation",
    ] {
        if !damage.is_empty() {
            sqlx::query(damage).execute(&stack.pool).await.unwrap();
        }
        segmentation::rebuild_standings(&log).await.unwrap();
        assert_eq!(stack.dump(&tables).await, rows, "after {damage:?}");
    }
    log.close().await;

    let moves = moves(&stack, &valuable).await;
    assert!(
        moves
            .iter()
            .all(|moved| moved.entered && moved.cause == MembershipCause::Fit)
    );
    // A later fit, and the rule looks at that.
    let mut later = fit_request(&stack).await;
    later.calibration_end_time = moment(LAST);
    let mut client = stack.client();
    let newest = client
        .fit_models(later)
        .await
        .unwrap()
        .into_inner()
        .fit
        .unwrap();
    assert_ne!(newest.fit_id, fit.fit_id);
    let got = client
        .get_fit(pb::GetFitRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(got.fit, Some(newest));
    assert_ne!(members(&stack, &mut client, &valuable).await, before);
    stack.stop().await;
}

#[tokio::test]
async fn a_fit_needs_the_right_to_write() {
    let stack = Stack::start().await;
    let request = fit_request(&stack).await;
    let mut reader = stack.client_of("demo", &["segmentation.read"]);
    let status = refused(
        &stack,
        Code::PermissionDenied,
        "SCOPE_MISSING",
        reader.fit_models(request),
    )
    .await;
    assert_eq!(reason(&status), "SCOPE_MISSING");
    stack.stop().await;
}
