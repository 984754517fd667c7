//! Who exists: followed from the customers log, asked for when not yet known, never guessed.

use contracts::interactions::v1 as pb;
use futures::StreamExt as _;
use testing::{refusal::refused, stack::TENANT};
use tonic::Code;

use crate::{
    peer::{append_erased, append_registered},
    requests::{FIRST, purchase, record, touch, touchpoint},
    stack::Stack,
};

const PROJECTION: &str = "interactions.known_customers";

#[tokio::test]
async fn a_customer_of_whom_the_log_told_is_not_asked_for() {
    let stack = Stack::start().await;
    let customer = append_registered(&stack.customers_log, TENANT, FIRST).await;
    let rows = stack.rows_once("known_customer", 1).await;
    assert!(rows[0].contains(&customer.to_string()), "{rows:?}");
    record(&mut stack.client(), purchase(customer, "1"))
        .await
        .unwrap();
    assert_eq!(stack.customers.asked(), 0);

    // Of another tenant nothing was told, and it is asked about.
    let mut other = stack.client_of("other", &["*"]);
    let call = record(&mut other, purchase(customer, "1"));
    refused(&stack, Code::FailedPrecondition, "UNKNOWN_CUSTOMER", call).await;
    assert_eq!(stack.customers.asked(), 1);
    stack.stop().await;
}

#[tokio::test]
async fn nothing_is_recorded_of_somebody_who_was_erased() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let customer = append_registered(&stack.customers_log, TENANT, FIRST).await;
    stack.rows_once("known_customer", 1).await;
    append_erased(&stack.customers_log, TENANT, customer, FIRST).await;
    let rows = stack.rows_once("wiped", 2).await;
    assert!(rows.iter().any(|row| row.contains("data_key")), "{rows:?}");
    let call = record(&mut client, purchase(customer, "1"));
    refused(&stack, Code::FailedPrecondition, "CUSTOMER_ERASED", call).await;
    let call = touch(&mut client, touchpoint(customer, "1"));
    refused(&stack, Code::FailedPrecondition, "CUSTOMER_ERASED", call).await;
    // Nor is a key made for somebody who had none.
    let keys = stack.rows_once("subject_key", 1).await;
    assert!(keys[0].contains(&customer.to_string()), "{keys:?}");
    assert_eq!(stack.customers.asked(), 0);
    stack.stop().await;
}

#[tokio::test]
async fn a_yes_is_remembered_and_a_no_is_not() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let customer = stack.customer();
    record(&mut client, purchase(customer, "1")).await.unwrap();
    record(&mut client, purchase(customer, "2")).await.unwrap();
    touch(&mut client, touchpoint(customer, "1")).await.unwrap();
    assert_eq!(stack.customers.asked(), 1);

    let late = aggregate::CustomerId(uuid::Uuid::new_v4());
    let call = record(&mut client, purchase(late, "3"));
    refused(&stack, Code::FailedPrecondition, "UNKNOWN_CUSTOMER", call).await;
    stack.customers.add_this(TENANT, late);
    record(&mut client, purchase(late, "3")).await.unwrap();
    stack.stop().await;
}

#[tokio::test]
async fn without_the_customers_service_nobody_is_refused_as_unknown() {
    // Nobody listens on the port that nobody may listen on.
    let stack = Stack::start_with(&[("VEFA__PEERS__CUSTOMERS", "http://127.0.0.1:1")]).await;
    let mut client = stack.client();
    let known = append_registered(&stack.customers_log, TENANT, FIRST).await;
    stack.rows_once("known_customer", 1).await;
    record(&mut client, purchase(known, "1")).await.unwrap();

    let stranger = stack.customer();
    let call = record(&mut client, purchase(stranger, "2"));
    refused(&stack, Code::Unavailable, "CUSTOMERS_UNAVAILABLE", call).await;
    let call = touch(&mut client, touchpoint(stranger, "2"));
    refused(&stack, Code::Unavailable, "CUSTOMERS_UNAVAILABLE", call).await;
    let timeline = pb::ListTimelineRequest {
        customer_id: stranger.to_string(),
        ..pb::ListTimelineRequest::default()
    };
    refused(
        &stack,
        Code::Unavailable,
        "CUSTOMERS_UNAVAILABLE",
        client.list_timeline(timeline),
    )
    .await;

    let row = pb::ImportPurchasesRequest {
        row: 1,
        purchase: Some(purchase(stranger, "2")),
    };
    let answers = client
        .import_purchases(futures::stream::iter([row]))
        .await
        .unwrap()
        .into_inner();
    let answers: Vec<_> = answers.map(Result::unwrap).collect().await;
    assert_eq!(
        (answers[0].outcome(), answers[0].code),
        (pb::ImportOutcome::Refused, Code::Unavailable.into())
    );
    assert_eq!(stack.written().await, (1, 1));
    stack.stop().await;
}

#[tokio::test]
async fn applied_twice_and_from_zero_gives_the_same_rows() {
    let stack = Stack::start().await;
    for n in 0..10 {
        let tenant = ["demo", "other"][n % 2];
        append_registered(&stack.customers_log, tenant, FIRST).await;
    }
    let rows = stack.rows_once("known_customer", 10).await;
    // Each registration is two events.
    stack.applied(PROJECTION, 20).await;
    let stack = stack.rebuilt(&[PROJECTION], &[]).await;
    assert_eq!(stack.rows("known_customer").await, rows, "applied twice");
    let stack = stack.rebuilt(&[PROJECTION], &["known_customer"]).await;
    assert_eq!(stack.rows("known_customer").await, rows, "from zero");
    let others = [&stack.customers_log];
    stack.remade(interactions::projections, &others).await;
    assert_eq!(
        stack.rows("known_customer").await,
        rows,
        "beside the live one"
    );
    stack.stop().await;
}
