//! Import: rows answered in order, one by one.

use aggregate::CustomerId;
use contracts::interactions::v1 as pb;
use futures::{SinkExt as _, StreamExt as _, channel::mpsc};
use tonic::Code;
use uuid::Uuid;

use crate::{
    requests::{purchase, record},
    stack::{Client, Stack},
};

async fn import(
    client: &mut Client,
    rows: Vec<pb::ImportPurchasesRequest>,
) -> Vec<pb::ImportPurchasesResponse> {
    let answers = client
        .import_purchases(futures::stream::iter(rows))
        .await
        .unwrap()
        .into_inner();
    answers.map(Result::unwrap).collect().await
}

fn row(row: u64, purchase: pb::Purchase) -> pb::ImportPurchasesRequest {
    pb::ImportPurchasesRequest {
        row,
        purchase: Some(purchase),
    }
}

fn outcomes(answers: &[pb::ImportPurchasesResponse]) -> Vec<(u64, pb::ImportOutcome, i32)> {
    answers
        .iter()
        .map(|answer| (answer.row, answer.outcome(), answer.code))
        .collect()
}

#[tokio::test]
async fn good_bad_and_repeated_rows_are_answered_in_their_order() {
    use pb::ImportOutcome::{Duplicate, Recorded, Refused};
    let stack = Stack::start().await;
    let (mut client, customer) = (stack.client(), stack.customer());
    record(&mut client, purchase(customer, "before"))
        .await
        .unwrap();

    let mut wrong = purchase(customer, "wrong");
    wrong.lines[1].quantity = -3;
    let mut changed = purchase(customer, "a");
    changed.channel = "shop".to_owned();
    let rows = vec![
        row(10, purchase(customer, "a")),
        row(11, wrong),
        row(12, purchase(customer, "before")),
        row(13, purchase(CustomerId(Uuid::new_v4()), "nobody's")),
        row(14, purchase(customer, "a")),
        row(15, changed),
        pb::ImportPurchasesRequest {
            row: 16,
            purchase: None,
        },
        row(10, purchase(customer, "b")),
    ];
    let answers = import(&mut client, rows).await;
    let code = |code: Code| i32::from(code);
    assert_eq!(
        outcomes(&answers),
        [
            (10, Recorded, 0),
            (11, Refused, code(Code::InvalidArgument)),
            (12, Duplicate, 0),
            (13, Refused, code(Code::FailedPrecondition)),
            (14, Duplicate, 0),
            (15, Refused, code(Code::AlreadyExists)),
            (16, Refused, code(Code::InvalidArgument)),
            (10, Recorded, 0),
        ]
    );
    assert!(
        answers[1]
            .message
            .starts_with("purchase.lines[1].quantity: "),
        "{:?}",
        answers[1]
    );
    assert!(
        answers[6].message.starts_with("purchase: "),
        "{:?}",
        answers[6]
    );
    for answer in &answers {
        let refused = answer.outcome() == Refused;
        assert_eq!(answer.purchase_id.is_empty(), refused, "{answer:?}");
        assert_eq!(answer.consistency_token.is_empty(), refused, "{answer:?}");
        assert_eq!(answer.message.is_empty(), !refused, "{answer:?}");
    }
    assert_eq!(stack.written().await, (3, 3));
    stack.stop().await;
}

#[tokio::test]
async fn of_rows_with_one_key_the_first_is_recorded() {
    let stack = Stack::start().await;
    let (mut client, customer) = (stack.client(), stack.customer());
    // 40 keys, each in five rows of other content that are all at work at once.
    let rows = (0..200_u64).map(|n| {
        let mut sent = purchase(customer, &(n % 40).to_string());
        sent.lines[0].amount_minor = i64::try_from(n).unwrap();
        row(n, sent)
    });
    let answers = import(&mut client, rows.collect()).await;
    for answer in answers {
        let code = if answer.row < 40 {
            Code::Ok
        } else {
            Code::AlreadyExists
        };
        assert_eq!(answer.code, i32::from(code), "{answer:?}");
    }
    assert_eq!(stack.written().await, (40, 40));
    stack.stop().await;
}

#[tokio::test]
async fn a_second_import_changes_nothing() {
    let stack = Stack::start_with(&[("VEFA__LIMITS__IMPORT_ROWS_IN_FLIGHT", "8")]).await;
    let mut client = stack.client();
    let customers: Vec<_> = (0..10).map(|_| stack.customer()).collect();
    let rows: Vec<_> = (0..300_u64)
        .map(|n| {
            row(
                n,
                purchase(customers[usize::try_from(n % 10).unwrap()], &n.to_string()),
            )
        })
        .collect();
    let first = import(&mut client, rows.clone()).await;
    assert!(
        first
            .iter()
            .all(|answer| answer.outcome() == pb::ImportOutcome::Recorded)
    );
    assert!(first.iter().map(|answer| answer.row).eq(0..300));
    let written = stack.written().await;
    assert_eq!(written, (300, 300));

    let second = import(&mut client, rows).await;
    let expected: Vec<_> = first
        .into_iter()
        .map(|answer| pb::ImportPurchasesResponse {
            outcome: pb::ImportOutcome::Duplicate.into(),
            ..answer
        })
        .collect();
    assert_eq!(second, expected);
    assert_eq!(stack.written().await, written);
    stack.stop().await;
}

#[tokio::test]
async fn rows_are_answered_while_the_stream_is_open_and_it_may_be_empty() {
    let stack = Stack::start().await;
    let (mut client, customer) = (stack.client(), stack.customer());
    assert_eq!(import(&mut client, Vec::new()).await, []);

    let (mut rows, receiver) = mpsc::channel(1);
    rows.send(row(1, purchase(customer, "1"))).await.unwrap();
    let mut answers = client
        .import_purchases(receiver)
        .await
        .unwrap()
        .into_inner();
    let answer = answers.next().await.unwrap().unwrap();
    assert_eq!(
        (answer.row, answer.outcome()),
        (1, pb::ImportOutcome::Recorded)
    );
    rows.send(row(2, purchase(customer, "2"))).await.unwrap();
    assert_eq!(answers.next().await.unwrap().unwrap().row, 2);
    drop(rows);
    assert!(answers.next().await.is_none());
    stack.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_whole_purchases_and_a_repeat_completes_them() {
    let stack = Stack::start().await;
    let (mut client, customer) = (stack.client(), stack.customer());
    let rows: Vec<_> = (0..200_u64)
        .map(|n| row(n, purchase(customer, &n.to_string())))
        .collect();
    let mut answers = client
        .import_purchases(futures::stream::iter(rows.clone()).chain(futures::stream::pending()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answers.next().await.unwrap().unwrap().row, 0);
    drop(answers);
    let again = import(&mut client, rows).await;
    assert!(again.iter().all(|answer| answer.code == 0), "{again:?}");
    assert_eq!(stack.written().await, (200, 200));
    stack.stop().await;
}
