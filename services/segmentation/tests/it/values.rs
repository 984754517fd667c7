//! What customers have done and are worth.

use contracts::segmentation::v1 as pb;
use testing::refusal::{malformed, refused};
use time::{Duration, macros::datetime};
use tonic::Code;
use uuid::Uuid;

use crate::{
    cdnow::{CALIBRATION_END, feed_sample, fit_request},
    feed::{purchase_message, purchased, recorded, returned},
    requests::moment,
    stack::{Client, Stack},
};

const CUSTOMERS: usize = 250;

async fn value(
    stack: &Stack,
    client: &mut Client,
    request: pb::GetCustomerValueRequest,
) -> pb::CustomerValue {
    let request = pb::GetCustomerValueRequest {
        consistency_token: stack.fed().await,
        ..request
    };
    client
        .get_customer_value(request)
        .await
        .unwrap()
        .into_inner()
        .value
        .unwrap()
}

#[tokio::test]
async fn measures_follow_what_happened_and_can_be_asked_for_as_of_any_moment() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let customer = stack.register().await;
    let first = datetime!(2026-01-05 9:00 UTC);
    let with_margin = |at, amount, margin| {
        let mut message = purchase_message(customer, at, amount);
        message.margin_minor = Some(margin);
        recorded(&message)
    };
    stack.record(with_margin(first, 1_000, 300)).await;
    stack
        .record(with_margin(first + Duration::hours(2), 500, -100))
        .await;
    let request = pb::GetCustomerValueRequest {
        customer_id: customer.to_string(),
        ..pb::GetCustomerValueRequest::default()
    };
    let early = value(&stack, &mut client, request.clone()).await;
    assert_eq!((early.purchases, early.purchase_days), (2, 1));
    assert_eq!(
        (early.monetary_minor, early.margin_minor),
        (1_500, Some(200))
    );
    assert_eq!(early.currency_code, "USD");
    assert_eq!(
        (early.p_alive, early.rfm.as_str(), early.tier()),
        (None, "", pb::Tier::Unspecified)
    );

    stack
        .record(purchased(customer, first + Duration::days(3), 700))
        .await;
    stack
        .record(returned(customer, first + Duration::days(4), 500))
        .await;
    let now = value(&stack, &mut client, request.clone()).await;
    assert_eq!(
        (now.purchases, now.purchase_days, now.monetary_minor),
        (3, 2, 1_700)
    );
    assert_eq!(
        now.margin_minor, None,
        "a margin that is not known is not zero"
    );
    assert_eq!(now.first_purchase_time, moment(first));
    assert_eq!(now.last_purchase_time, moment(first + Duration::days(3)));

    let as_of = |at| pb::GetCustomerValueRequest {
        as_of: moment(at),
        ..request.clone()
    };
    assert_eq!(
        value(&stack, &mut client, as_of(first + Duration::hours(2))).await,
        early
    );
    let before = value(&stack, &mut client, as_of(first - Duration::seconds(1))).await;
    assert_eq!(
        (
            before.purchases,
            before.first_purchase_time,
            before.monetary_minor
        ),
        (0, None, 0)
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scored_customers_are_listed_by_value_and_by_what_is_at_risk() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    feed_sample(&stack, CUSTOMERS).await;
    let fit = client
        .fit_models(fit_request(&stack).await)
        .await
        .unwrap()
        .into_inner()
        .fit
        .unwrap();
    let at_risk = |value: &pb::CustomerValue| {
        (value.monetary_minor as f64 * (1.0 - value.p_alive.unwrap())).round() as i64
    };
    for order in [
        pb::ValueOrder::Unspecified,
        pb::ValueOrder::ExpectedValue,
        pb::ValueOrder::ValueAtRisk,
    ] {
        let mut values = Vec::new();
        let mut request = pb::ListCustomerValuesRequest {
            order: order.into(),
            page_size: 97,
            ..pb::ListCustomerValuesRequest::default()
        };
        loop {
            let page = client
                .list_customer_values(request.clone())
                .await
                .unwrap()
                .into_inner();
            values.extend(page.values);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(values.len(), CUSTOMERS);
        let amounts: Vec<i64> = values
            .iter()
            .map(|value| match order {
                pb::ValueOrder::ValueAtRisk => at_risk(value),
                pb::ValueOrder::Unspecified | pb::ValueOrder::ExpectedValue => {
                    value.expected_value_minor.unwrap()
                }
            })
            .collect();
        assert!(
            amounts.is_sorted_by(|a, b| a >= b),
            "{order:?}: {amounts:?}"
        );
        let mut customers: Vec<_> = values
            .iter()
            .map(|value| value.customer_id.clone())
            .collect();
        customers.sort();
        customers.dedup();
        assert_eq!(customers.len(), CUSTOMERS, "each once");
    }

    // Alone as in the list, by the same measures: those of the calibration end.
    let request = pb::ListCustomerValuesRequest {
        fit_id: fit.fit_id.clone(),
        page_size: 1,
        ..pb::ListCustomerValuesRequest::default()
    };
    let best = client
        .list_customer_values(request)
        .await
        .unwrap()
        .into_inner()
        .values
        .remove(0);
    assert_eq!(best.tier(), pb::Tier::MostValuable);
    assert_eq!(best.rfm.len(), 3);
    assert!(best.last_purchase_time.unwrap().seconds <= CALIBRATION_END.unix_timestamp());
    let request = pb::GetCustomerValueRequest {
        customer_id: best.customer_id.clone(),
        as_of: moment(CALIBRATION_END),
        consistency_token: String::new(),
    };
    assert_eq!(value(&stack, &mut client, request.clone()).await, best);
    // Before the calibration end there were no scores by it.
    let before = pb::GetCustomerValueRequest {
        as_of: moment(CALIBRATION_END - Duration::seconds(1)),
        ..request
    };
    let before = value(&stack, &mut client, before).await;
    assert_eq!((before.p_alive, before.rfm.as_str()), (None, ""));

    let mut stranger = stack.client_of("other", &["segmentation.*"]);
    let list = pb::ListCustomerValuesRequest {
        fit_id: fit.fit_id.clone(),
        ..pb::ListCustomerValuesRequest::default()
    };
    refused(
        &stack,
        Code::NotFound,
        "NOT_FOUND",
        stranger.list_customer_values(list),
    )
    .await;
    let tiers = pb::ListTiersRequest { fit_id: fit.fit_id };
    refused(
        &stack,
        Code::NotFound,
        "NOT_FOUND",
        stranger.list_tiers(tiers),
    )
    .await;
    let single = pb::GetCustomerValueRequest {
        customer_id: best.customer_id,
        ..pb::GetCustomerValueRequest::default()
    };
    refused(
        &stack,
        Code::NotFound,
        "NOT_FOUND",
        stranger.get_customer_value(single),
    )
    .await;
    stack.stop().await;
}

#[tokio::test]
async fn malformed_questions_are_refused_at_the_field() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let get = |customer_id: &str| pb::GetCustomerValueRequest {
        customer_id: customer_id.to_owned(),
        ..pb::GetCustomerValueRequest::default()
    };
    malformed(
        &stack,
        &["customer_id"],
        client.get_customer_value(get("7")),
    )
    .await;
    let unknown = get(&Uuid::new_v4().to_string());
    refused(
        &stack,
        Code::NotFound,
        "NOT_FOUND",
        client.get_customer_value(unknown),
    )
    .await;

    let list = pb::ListCustomerValuesRequest::default();
    for (field, request) in [
        (
            "fit_id",
            pb::ListCustomerValuesRequest {
                fit_id: "7".to_owned(),
                ..list.clone()
            },
        ),
        (
            "order",
            pb::ListCustomerValuesRequest {
                order: 9,
                ..list.clone()
            },
        ),
        (
            "page_size",
            pb::ListCustomerValuesRequest {
                page_size: -1,
                ..list.clone()
            },
        ),
        (
            "page_token",
            pb::ListCustomerValuesRequest {
                page_token: "x".to_owned(),
                ..list.clone()
            },
        ),
    ] {
        let call = client.list_customer_values(request);
        malformed(&stack, &[field], call).await;
    }
    // There is no fit yet.
    refused(
        &stack,
        Code::NotFound,
        "NOT_FOUND",
        client.list_customer_values(list),
    )
    .await;
    refused(
        &stack,
        Code::NotFound,
        "NOT_FOUND",
        client.list_tiers(pb::ListTiersRequest::default()),
    )
    .await;
    refused(
        &stack,
        Code::NotFound,
        "NOT_FOUND",
        client.get_fit(pb::GetFitRequest::default()),
    )
    .await;
    let request = pb::GetFitRequest {
        fit_id: "7".to_owned(),
    };
    malformed(&stack, &["fit_id"], client.get_fit(request)).await;
    let request = pb::ListTiersRequest {
        fit_id: "7".to_owned(),
    };
    malformed(&stack, &["fit_id"], client.list_tiers(request)).await;
    stack.stop().await;
}
