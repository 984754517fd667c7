//! Two customers turn out to be one: what both bought counts for one in every service, and for each again when that is undone.

use std::time::Duration;

use anyhow::ensure;
use contracts::customers::v1::{
    Identifier, IdentifierType, MergeCustomersRequest, UnmergeCustomerRequest,
};
use contracts::interactions::v1::ListTimelineRequest;
use contracts::segmentation::v1::ListSegmentMembersRequest;
use tokio::time::{Instant, sleep};

use super::World;
use super::refusals::requests::{purchase, record, registration, segment};
use crate::demo::client::Clients;

/// For each wait of the scenario.
const LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_both_bought_counts_for_one_until_the_merger_is_undone() -> anyhow::Result<()> {
    let mut world = World::start("mergers").await?;
    let mut clients = world.clients.clone();
    let id = registered(&mut clients, "one@example.com").await?;
    let duplicate = registered(&mut clients, "other@example.com").await?;
    let regulars = segment("regulars", "purchases.count() >= 3");
    let defined = clients.segmentation.define_segment(regulars).await?;
    let regulars = defined.into_inner().segment.unwrap_or_default().segment_id;
    record(&clients, purchase(1, &id)).await?;
    record(&clients, purchase(2, &duplicate)).await?;
    clients
        .customers
        .merge_customers(MergeCustomersRequest {
            customer_id: id.clone(),
            duplicate_customer_id: duplicate.clone(),
            ..MergeCustomersRequest::default()
        })
        .await?;
    reaches(&mut clients, &id, 2, &regulars, &[]).await?;
    // Whoever does not know of it goes on to use the old id.
    record(&clients, purchase(3, &duplicate)).await?;
    reaches(&mut clients, &id, 3, &regulars, &[&id]).await?;
    reaches(&mut clients, &duplicate, 3, &regulars, &[&id]).await?;

    clients
        .customers
        .unmerge_customer(UnmergeCustomerRequest {
            customer_id: duplicate.clone(),
            ..UnmergeCustomerRequest::default()
        })
        .await?;
    reaches(&mut clients, &id, 1, &regulars, &[]).await?;
    reaches(&mut clients, &duplicate, 2, &regulars, &[]).await?;
    record(&clients, purchase(4, &duplicate)).await?;
    reaches(&mut clients, &duplicate, 3, &regulars, &[&duplicate]).await?;
    let (healthy, said) = world.stack.doctor()?;
    assert!(healthy, "{said}");
    world.stack.all_run()
}

async fn registered(clients: &mut Clients, address: &str) -> anyhow::Result<String> {
    let mut request = registration();
    request.request_id = address.to_owned();
    request.identifiers = vec![Identifier {
        r#type: IdentifierType::Email.into(),
        value: address.to_owned(),
        system: String::new(),
    }];
    let answer = clients.customers.register_customer(request).await?;
    Ok(answer.into_inner().customer_id)
}

/// Waits until a customer's timeline has so many entries, and the segment has these members.
async fn reaches(
    clients: &mut Clients,
    id: &str,
    entries: usize,
    segment_id: &str,
    members: &[&str],
) -> anyhow::Result<()> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let request = ListTimelineRequest {
            customer_id: id.to_owned(),
            ..ListTimelineRequest::default()
        };
        let timeline = clients.interactions.list_timeline(request).await?;
        let timeline = timeline.into_inner().entries.len();
        let request = ListSegmentMembersRequest {
            segment_id: segment_id.to_owned(),
            ..ListSegmentMembersRequest::default()
        };
        let answer = clients.segmentation.list_segment_members(request).await?;
        let found = answer.into_inner().members.into_iter();
        let found: Vec<String> = found.map(|member| member.customer_id).collect();
        if timeline == entries && found == members {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "{timeline} entries and the members {found:?}; {entries} and {members:?} were expected"
        );
        sleep(PAUSE).await;
    }
}
