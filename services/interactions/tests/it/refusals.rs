//! What is refused of purchases and contacts: each with its code, its fields, and no event.

use aggregate::CustomerId;
use contracts::interactions::v1 as pb;
use testing::refusal::{fields, malformed, preconditions, refused};
use time::{Duration, macros::datetime};
use tonic::Code;
use uuid::Uuid;

use crate::{
    requests::{line, moment, purchase, record, touch, touchpoint},
    stack::Stack,
};

/// Makes a good request bad.
type Change<T> = Box<dyn Fn(&mut T)>;

#[tokio::test]
async fn a_malformed_purchase_is_refused_at_the_field() {
    let stack = Stack::start().await;
    let (mut client, customer) = (stack.client(), stack.customer());
    let cases: Vec<(&str, Change<pb::Purchase>)> = vec![
        ("purchase.source", Box::new(|p| p.source = "POS".to_owned())),
        ("purchase.source", Box::new(|p| p.source = String::new())),
        (
            "purchase.source_id",
            Box::new(|p| p.source_id = "x".repeat(129)),
        ),
        (
            "purchase.customer_id",
            Box::new(|p| p.customer_id = "17".to_owned()),
        ),
        ("purchase.kind", Box::new(|p| p.kind = 0)),
        ("purchase.kind", Box::new(|p| p.kind = 99)),
        (
            "purchase.occurred_time",
            Box::new(|p| p.occurred_time = None),
        ),
        (
            "purchase.occurred_time",
            Box::new(|p| p.occurred_time.as_mut().unwrap().nanos = -1),
        ),
        (
            "purchase.occurred_time",
            Box::new(|p| p.occurred_time = moment(service::clock::now() + Duration::minutes(6))),
        ),
        (
            "purchase.occurred_time",
            Box::new(|p| p.occurred_time = moment(datetime!(1899-12-31 23:59 UTC))),
        ),
        (
            "purchase.currency_code",
            Box::new(|p| p.currency_code = "ZZZ".to_owned()),
        ),
        (
            "purchase.currency_code",
            Box::new(|p| p.currency_code = "try".to_owned()),
        ),
        ("purchase.lines", Box::new(|p| p.lines.clear())),
        (
            "purchase.lines",
            Box::new(|p| p.lines = vec![line(1, 1); 201]),
        ),
        (
            "purchase.lines",
            Box::new(|p| p.lines = vec![line(1, i64::MAX), line(1, 1)]),
        ),
        (
            "purchase.lines[1].quantity",
            Box::new(|p| p.lines[1].quantity = -1),
        ),
        (
            "purchase.lines[1].quantity",
            Box::new(|p| p.lines[1].quantity = 0),
        ),
        (
            "purchase.lines[0].amount_minor",
            Box::new(|p| p.lines[0].amount_minor = -1),
        ),
        (
            "purchase.lines[0].sku",
            Box::new(|p| p.lines[0].sku = "a\u{0}".to_owned()),
        ),
        (
            "purchase.lines[1].category",
            Box::new(|p| p.lines[1].category = "x".repeat(65)),
        ),
        (
            "purchase.channel",
            Box::new(|p| p.channel = "we\nb".to_owned()),
        ),
    ];
    for (field, change) in cases {
        let mut sent = purchase(customer, "1");
        change(&mut sent);
        let call = record(&mut client, sent);
        let status = malformed(&stack, &[field], call).await;
        assert!(
            status.message().starts_with(&format!("{field}: ")),
            "{status:?}"
        );
    }
    let nothing = client.record_purchase(pb::RecordPurchaseRequest::default());
    malformed(&stack, &["purchase"], nothing).await;
    stack.stop().await;
}

#[tokio::test]
async fn the_clock_of_another_system_may_be_a_little_ahead() {
    let stack = Stack::start().await;
    let mut sent = purchase(stack.customer(), "1");
    sent.occurred_time = moment(service::clock::now() + Duration::minutes(4));
    record(&mut stack.client(), sent).await.unwrap();
    stack.stop().await;
}

#[tokio::test]
async fn everything_wrong_is_told_in_one_answer() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let sent = pb::Purchase {
        lines: vec![line(1, 1), line(1, -2), line(-3, 1)],
        ..pb::Purchase::default()
    };
    malformed(
        &stack,
        &[
            "purchase.source",
            "purchase.source_id",
            "purchase.customer_id",
            "purchase.kind",
            "purchase.occurred_time",
            "purchase.currency_code",
            "purchase.lines[1].amount_minor",
            "purchase.lines[2].quantity",
        ],
        record(&mut client, sent),
    )
    .await;

    // 800 mistakes would not fit into the headers that a client takes.
    let mut sent = purchase(stack.customer(), "1");
    let worst = pb::PurchaseLine {
        sku: "x".repeat(65),
        category: "x".repeat(65),
        ..line(-1, -1)
    };
    sent.lines = vec![worst; 200];
    let status = refused(
        &stack,
        Code::InvalidArgument,
        "FIELD_VIOLATIONS",
        record(&mut client, sent),
    )
    .await;
    let fields = fields(&status);
    assert_eq!(
        (fields.len(), fields.last().unwrap().as_str()),
        (33, "purchase.lines")
    );
    assert!(
        status.message().ends_with("768 more mistakes"),
        "{status:?}"
    );
    stack.stop().await;
}

#[tokio::test]
async fn a_malformed_contact_is_refused_at_the_field() {
    let stack = Stack::start().await;
    let (mut client, customer) = (stack.client(), stack.customer());
    let cases: Vec<(&str, Change<pb::Touchpoint>)> = vec![
        (
            "touchpoint.source",
            Box::new(|t| t.source = "a/b".to_owned()),
        ),
        (
            "touchpoint.source_id",
            Box::new(|t| t.source_id = String::new()),
        ),
        (
            "touchpoint.customer_id",
            Box::new(|t| t.customer_id = String::new()),
        ),
        ("touchpoint.channel", Box::new(|t| t.channel = 0)),
        ("touchpoint.direction", Box::new(|t| t.direction = 3)),
        ("touchpoint.role", Box::new(|t| t.role = "x".repeat(65))),
        ("touchpoint.role", Box::new(|t| t.automated = true)),
        (
            "touchpoint.summary",
            Box::new(|t| t.summary = "x".repeat(4097)),
        ),
        (
            "touchpoint.occurred_time",
            Box::new(|t| t.occurred_time = moment(service::clock::now() + Duration::HOUR)),
        ),
    ];
    for (field, change) in cases {
        let mut sent = touchpoint(customer, "1");
        change(&mut sent);
        let call = touch(&mut client, sent);
        malformed(&stack, &[field], call).await;
    }
    let nothing = client.record_touchpoint(pb::RecordTouchpointRequest::default());
    malformed(&stack, &["touchpoint"], nothing).await;
    stack.stop().await;
}

#[tokio::test]
async fn an_unknown_customer_is_refused() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let nobody = CustomerId(Uuid::new_v4());
    let theirs = stack.customers.add("other");
    for customer in [nobody, theirs] {
        let call = record(&mut client, purchase(customer, "1"));
        let status = refused(&stack, Code::FailedPrecondition, "UNKNOWN_CUSTOMER", call).await;
        assert_eq!(preconditions(&status), [format!("customer/{customer}")]);
        let call = touch(&mut client, touchpoint(customer, "1"));
        refused(&stack, Code::FailedPrecondition, "UNKNOWN_CUSTOMER", call).await;
    }
    stack.stop().await;
}

#[tokio::test]
async fn who_may_not_write_writes_nothing() {
    let stack = Stack::start().await;
    let customer = stack.customer();
    let scopes = ["interactions.read", "customers.*"];
    for (mut client, code, reason) in stack.outsiders(&scopes) {
        refused(
            &stack,
            code,
            reason,
            record(&mut client, purchase(customer, "1")),
        )
        .await;
        refused(
            &stack,
            code,
            reason,
            touch(&mut client, touchpoint(customer, "1")),
        )
        .await;
        refused(
            &stack,
            code,
            reason,
            client.import_purchases(futures::stream::empty()),
        )
        .await;
    }
    stack.stop().await;
}
