//! Contacts: recorded once, and what they were about sealed.

use contracts::interactions::v1 as pb;
use futures::future::join_all;
use testing::{
    eventually,
    refusal::refused,
    stack::{SOON, TENANT},
};
use tonic::Code;

use crate::{
    requests::{SUMMARY, touch, touchpoint},
    stack::Stack,
    timeline::{contacts, list},
};

#[tokio::test]
async fn a_repeat_is_answered_as_the_first_time() {
    let stack = Stack::start().await;
    let (mut client, customer) = (stack.client(), stack.customer());
    let first = touch(&mut client, touchpoint(customer, "1"))
        .await
        .unwrap()
        .into_inner();
    assert!(!first.repeated_request);
    let repeated = touch(&mut client, touchpoint(customer, "1"))
        .await
        .unwrap()
        .into_inner();
    let expected = pb::RecordTouchpointResponse {
        repeated_request: true,
        ..first
    };
    assert_eq!(repeated, expected);
    assert_eq!(stack.written().await, (1, 1));
    stack.stop().await;
}

#[tokio::test]
async fn thirty_two_at_once_are_one_event_and_one_answer() {
    let stack = Stack::start().await;
    let customer = stack.customer();
    let answers = join_all((0..32).map(|_| {
        let mut client = stack.client();
        async move {
            touch(&mut client, touchpoint(customer, "1"))
                .await
                .unwrap()
                .into_inner()
        }
    }))
    .await;
    assert_eq!(
        answers
            .iter()
            .filter(|answer| !answer.repeated_request)
            .count(),
        1
    );
    assert!(
        answers
            .iter()
            .all(|answer| answer.touchpoint_id == answers[0].touchpoint_id)
    );
    assert_eq!(stack.written().await, (1, 1));
    stack.stop().await;
}

#[tokio::test]
async fn thirty_two_first_contacts_of_one_customer_agree_on_the_key() {
    let stack = Stack::start().await;
    let customer = stack.customer();
    join_all((0..32).map(|n| {
        let mut client = stack.client();
        async move {
            touch(&mut client, touchpoint(customer, &n.to_string()))
                .await
                .unwrap()
        }
    }))
    .await;
    assert_eq!(stack.written().await, (32, 32));
    stack.rows_once("timeline", 32).await;
    let shown = contacts(&list(&mut stack.client(), customer).await);
    assert_eq!(shown.len(), 32);
    assert!(shown.iter().all(|contact| contact.summary == SUMMARY));
    stack.stop().await;
}

#[tokio::test]
async fn the_same_key_with_other_content_or_another_customer_is_refused() {
    let stack = Stack::start().await;
    let (mut client, customer) = (stack.client(), stack.customer());
    touch(&mut client, touchpoint(customer, "1")).await.unwrap();
    let mut other = touchpoint(customer, "1");
    other.summary.push('!');
    refused(
        &stack,
        Code::AlreadyExists,
        "SOURCE_ID_TAKEN",
        touch(&mut client, other),
    )
    .await;
    let other = touchpoint(stack.customer(), "1");
    refused(
        &stack,
        Code::AlreadyExists,
        "SOURCE_ID_TAKEN",
        touch(&mut client, other),
    )
    .await;
    stack.stop().await;
}

#[tokio::test]
async fn what_it_was_about_lies_nowhere_in_clear() {
    let stack = Stack::start().await;
    let (mut client, customer) = (stack.client(), stack.customer());
    touch(&mut client, touchpoint(customer, "1")).await.unwrap();
    stack.rows_once("timeline", 1).await;
    // Rows show bytes as hexadecimal digits.
    let hex = |text: &str| {
        text.bytes()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let (clear, in_hex) = (SUMMARY.to_owned(), hex(SUMMARY));
    let mut searched = 0;
    for table in ["event", "timeline", "command_log", "subject_key"] {
        let expected = if table == "subject_key" { 2 } else { 1 };
        for row in stack.rows_once(table, expected).await {
            assert!(
                !row.contains(&clear) && !row.contains(&in_hex),
                "{table}: {row}"
            );
            // What is not sealed is found that way, so that the search itself is known to work.
            searched += usize::from(row.contains(&hex("cashier")));
        }
    }
    assert_eq!(searched, 2, "the event and its entry in the timeline");
    stack.stop().await;
}

#[tokio::test]
async fn without_the_customer_s_key_a_contact_stays_and_its_summary_is_gone() {
    let stack = Stack::start().await;
    let customer = stack.customer();
    touch(&mut stack.client(), touchpoint(customer, "1"))
        .await
        .unwrap();
    // Keys are remembered for a while; a process that starts anew remembers none.
    let stack = stack
        .restart(async |stack| {
            let destroyed =
                sqlx::query("update subject_key set wrapped_key = null where subject = $1")
                    .bind(customer.0)
                    .execute(&stack.pool)
                    .await
                    .unwrap();
            assert_eq!(destroyed.rows_affected(), 1);
        })
        .await;
    let mut client = stack.client();
    let shown = eventually(SOON, "the contact", async || {
        let shown = contacts(&list(&mut stack.client_of(TENANT, &["*"]), customer).await);
        (!shown.is_empty()).then_some(shown)
    })
    .await;
    let expected = pb::Touchpoint {
        summary: String::new(),
        ..touchpoint(customer, "1")
    };
    assert_eq!(shown, [expected]);
    let more = touch(&mut client, touchpoint(customer, "2"));
    refused(&stack, Code::FailedPrecondition, "CUSTOMER_ERASED", more).await;
    stack.stop().await;
}
