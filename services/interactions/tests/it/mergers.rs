//! Customers who are one and the same: whoever asks for one of them sees what was told of all.

use aggregate::CustomerId;
use contracts::{
    customers::v1 as customers,
    interactions::v1::{self as pb, timeline_entry::Interaction},
};
use testing::{refusal::refused, stack::TENANT};
use time::Duration;
use tonic::Code;

use crate::{
    peer::{append_happened, append_registered},
    requests::{FIRST, moment, purchase, record, touch, touchpoint},
    stack::{Client, Stack},
};

const PROJECTION: &str = "interactions.known_customers";

async fn merged(stack: &Stack, customer: CustomerId, survivor: CustomerId) -> String {
    let event = customers::CustomerMerged {
        customer_id: customer.to_string(),
        surviving_customer_id: survivor.to_string(),
        merged_time: moment(FIRST),
    };
    let type_ = "vefa.customers.v1.CustomerMerged";
    append_happened(&stack.customers_log, customer, type_, &event, FIRST).await
}

async fn unmerged(stack: &Stack, customer: CustomerId, survivor: CustomerId) -> String {
    let event = customers::CustomerUnmerged {
        customer_id: customer.to_string(),
        surviving_customer_id: survivor.to_string(),
        unmerged_time: moment(FIRST),
    };
    let type_ = "vefa.customers.v1.CustomerUnmerged";
    append_happened(&stack.customers_log, customer, type_, &event, FIRST).await
}

async fn absorbed(stack: &Stack, customer: CustomerId, others: &[CustomerId]) -> String {
    let event = customers::CustomerAbsorbed {
        customer_id: customer.to_string(),
        absorbed_customer_id: others[0].to_string(),
        also_absorbed_customer_ids: others[1..].iter().map(CustomerId::to_string).collect(),
        absorbed_time: moment(FIRST),
    };
    let type_ = "vefa.customers.v1.CustomerAbsorbed";
    append_happened(&stack.customers_log, customer, type_, &event, FIRST).await
}

async fn separated(stack: &Stack, customer: CustomerId, others: &[CustomerId]) -> String {
    let event = customers::CustomerSeparated {
        customer_id: customer.to_string(),
        separated_customer_id: others[0].to_string(),
        also_separated_customer_ids: others[1..].iter().map(CustomerId::to_string).collect(),
        separated_time: moment(FIRST),
    };
    let type_ = "vefa.customers.v1.CustomerSeparated";
    append_happened(&stack.customers_log, customer, type_, &event, FIRST).await
}

/// Whose entries there are, by source id, newest first, read in pages of two; what was said in contacts must be readable.
async fn timeline(
    client: &mut Client,
    customer: CustomerId,
    token: &str,
) -> Vec<(CustomerId, String)> {
    let mut shown = Vec::new();
    let mut request = pb::ListTimelineRequest {
        customer_id: customer.to_string(),
        page_size: 2,
        consistency_token: token.to_owned(),
        ..pb::ListTimelineRequest::default()
    };
    loop {
        let page = client
            .list_timeline(request.clone())
            .await
            .unwrap()
            .into_inner();
        for entry in page.entries {
            let (customer, source_id) = match entry.interaction.unwrap() {
                Interaction::Purchase(purchase) => (purchase.customer_id, purchase.source_id),
                Interaction::Touchpoint(contact) => {
                    assert_eq!(contact.summary, format!("said {}", contact.source_id));
                    (contact.customer_id, contact.source_id)
                }
            };
            shown.push((customer.parse().unwrap(), source_id));
        }
        if page.next_page_token.is_empty() {
            return shown;
        }
        request.page_token = page.next_page_token;
    }
}

/// Records a contact on the first day of so many, and gives the token of it.
async fn called(client: &mut Client, customer: CustomerId, day: i64) -> String {
    let mut sent = touchpoint(customer, &day.to_string());
    sent.summary = format!("said {day}");
    sent.occurred_time = moment(FIRST + Duration::days(day));
    touch(client, sent)
        .await
        .unwrap()
        .into_inner()
        .consistency_token
}

fn both(one: &str, other: &str) -> String {
    format!("{one} {other}")
}

#[tokio::test]
async fn any_id_of_a_group_shows_what_was_told_of_all_of_it_in_one_order() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let [first, middle, last] = [
        append_registered(&stack.customers_log, TENANT, FIRST).await,
        append_registered(&stack.customers_log, TENANT, FIRST).await,
        append_registered(&stack.customers_log, TENANT, FIRST).await,
    ];
    stack.rows_once("known_customer", 3).await;
    let mut told = String::new();
    let mut expected = Vec::new();
    for day in 0..7 {
        let customer = [first, middle, last][(day % 3) as usize];
        told = both(&told, &called(&mut client, customer, day).await);
        expected.insert(0, (customer, day.to_string()));
    }
    let of = |some: &[CustomerId]| {
        let all = expected
            .iter()
            .filter(|(customer, _)| some.contains(customer));
        all.cloned().collect::<Vec<_>>()
    };
    assert_eq!(timeline(&mut client, first, &told).await, of(&[first]));

    let merging = both(
        &merged(&stack, first, middle).await,
        &absorbed(&stack, middle, &[first]).await,
    );
    for id in [first, middle] {
        assert_eq!(
            timeline(&mut client, id, &merging).await,
            of(&[first, middle])
        );
    }
    // Of a chain, the end is heard first.
    let heard = absorbed(&stack, last, &[middle, first]).await;
    assert_eq!(timeline(&mut client, last, &heard).await, expected);
    let heard = merged(&stack, middle, last).await;
    for id in [first, middle, last] {
        assert_eq!(timeline(&mut client, id, &heard).await, expected);
    }

    let undone = both(
        &unmerged(&stack, middle, last).await,
        &separated(&stack, last, &[middle, first]).await,
    );
    assert_eq!(timeline(&mut client, last, &undone).await, of(&[last]));
    for id in [first, middle] {
        assert_eq!(
            timeline(&mut client, id, &undone).await,
            of(&[first, middle])
        );
    }
    stack.stop().await;
}

#[tokio::test]
async fn a_purchase_is_found_by_any_id_of_its_group_and_keeps_its_own() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let [old, new] = [
        append_registered(&stack.customers_log, TENANT, FIRST).await,
        append_registered(&stack.customers_log, TENANT, FIRST).await,
    ];
    stack.rows_once("known_customer", 2).await;
    let before = record(&mut client, purchase(old, "1")).await.unwrap();
    let merging = both(
        &merged(&stack, old, new).await,
        &absorbed(&stack, new, &[old]).await,
    );
    // Under the old id it goes on to be taken.
    let after = record(&mut client, purchase(old, "2")).await.unwrap();
    timeline(&mut client, new, &merging).await;
    let ask = |customer: CustomerId, id: &str| pb::GetPurchaseRequest {
        customer_id: customer.to_string(),
        purchase_id: id.to_owned(),
    };
    let ids = [before, after].map(|answer| answer.into_inner().purchase_id);
    for (id, source_id) in ids.iter().zip(["1", "2"]) {
        for customer in [old, new] {
            let found = client.get_purchase(ask(customer, id)).await.unwrap();
            let found = found.into_inner().purchase.unwrap();
            assert_eq!(found, purchase(old, source_id));
        }
    }
    let undone = both(
        &unmerged(&stack, old, new).await,
        &separated(&stack, new, &[old]).await,
    );
    assert_eq!(timeline(&mut client, new, &undone).await, []);
    let call = client.get_purchase(ask(new, &ids[0]));
    refused(&stack, Code::NotFound, "NOT_FOUND", call).await;
    client.get_purchase(ask(old, &ids[0])).await.unwrap();
    stack.stop().await;
}

#[tokio::test]
async fn groups_from_zero_and_beside_the_live_ones_are_the_same() {
    let stack = Stack::start().await;
    let mut customers = Vec::new();
    for _ in 0..4 {
        customers.push(append_registered(&stack.customers_log, TENANT, FIRST).await);
    }
    let [first, middle, last, undone] = customers[..] else {
        unreachable!("four of them");
    };
    merged(&stack, first, middle).await;
    absorbed(&stack, middle, &[first]).await;
    merged(&stack, middle, last).await;
    absorbed(&stack, last, &[middle, first]).await;
    absorbed(&stack, last, &[undone]).await;
    merged(&stack, undone, last).await;
    separated(&stack, last, &[undone]).await;
    unmerged(&stack, undone, last).await;
    stack.applied(PROJECTION, 16).await;
    let rows = stack.rows("known_customer").await;
    assert!(
        rows.iter()
            .any(|row| row.contains("\"{") && row.contains(&first.to_string())),
        "{rows:?}"
    );
    let stack = stack.rebuilt(&[PROJECTION], &[]).await;
    assert_eq!(stack.rows("known_customer").await, rows, "applied twice");
    let stack = stack.rebuilt(&[PROJECTION], &["known_customer"]).await;
    assert_eq!(stack.rows("known_customer").await, rows, "from zero");
    stack
        .remade(interactions::projections, &[&stack.customers_log])
        .await;
    assert_eq!(
        stack.rows("known_customer").await,
        rows,
        "beside the live ones"
    );
    stack.stop().await;
}
