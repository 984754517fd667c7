//! Somebody is erased: no service knows anything personal any more, and neither do the files of PostgreSQL and of NATS, or the logs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use contracts::customers::v1::{
    EraseCustomerRequest, ErasureReason, ErasureState, GetErasureReceiptRequest,
    GetErasureReceiptResponse, Identifier, IdentifierType, PostalAddress, Profile,
    RegisterCustomerRequest,
};
use contracts::interactions::v1::timeline_entry::Interaction;
use contracts::interactions::v1::{
    Direction, ListTimelineRequest, RecordTouchpointRequest, Touchpoint, TouchpointChannel,
};
use contracts::segmentation::v1::ListSegmentMembersRequest;
use sqlx::{Connection as _, PgConnection};
use tokio::time::{Instant, sleep};
use tonic::Code;

use super::World;
use super::refusals::requests::{consent, now, purchase, record, registration, segment};
use crate::demo::client::Clients;
use crate::demo::evaluate::timestamp;
use crate::demo::service::Service;
use crate::demo::settle::settle;

/// What must not be found, in any case, once its customer is erased. Nothing else on this machine says any of it.
pub(super) const SECRETS: [&str; 6] = [
    "Zübeyde7f3a",
    "Kurtuluşlu9c1d",
    "zubeyde.7f3a@example",
    "Kestane5e2b",
    "Manolya4d8e",
    "Telgrafçı2b6a",
];
/// For each wait of the scenario.
const LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_erased_customer_no_byte_is_left_and_what_was_counted_stays() -> anyhow::Result<()> {
    let mut world = World::start("erasure").await?;
    let mut clients = world.clients.clone();
    let (id, segment_id) = known_customer(&mut clients).await?;
    settle(&clients).await?;
    let before = members(&mut clients, &segment_id).await?;
    assert_eq!(before, std::slice::from_ref(&id));
    write_all(&world).await?;
    let seen = found(&world)?;
    ensure!(
        [0, 1, 4, 5]
            .map(|number| SECRETS[number])
            .iter()
            .all(|secret| seen.iter().any(|(it, _)| it == secret)),
        "a list holds names in clear, so that a search that misses them is no search: {seen:?}"
    );

    let erase = EraseCustomerRequest {
        customer_id: id.clone(),
        reason: ErasureReason::SubjectRequest.into(),
        ..EraseCustomerRequest::default()
    };
    clients.customers.erase_customer(erase).await?;
    let receipt = complete_receipt(&mut clients, &id).await?;
    let services: Vec<&str> = receipt
        .services
        .iter()
        .map(|it| it.service.as_str())
        .collect();
    assert_eq!(
        services,
        ["customers", "interactions", "segmentation", "campaigns"]
    );
    for (service, what) in [(0, "customer_list"), (2, "customer_fact"), (3, "consent")] {
        let wiped = receipt.services[service].wiped.iter();
        let rows = wiped
            .filter(|wiped| wiped.what == what)
            .map(|wiped| wiped.rows);
        assert_eq!(rows.collect::<Vec<_>>(), [1], "{what}");
    }
    settle(&clients).await?;
    assert_eq!(
        members(&mut clients, &segment_id).await?,
        Vec::<String>::new()
    );
    assert_eq!(contacts(&mut clients, &id).await?, (1, vec![String::new()]));

    write_all(&world).await?;
    assert_eq!(found(&world)?, []);
    let (healthy, said) = world.stack.doctor()?;
    assert!(healthy, "{said}");
    let refused = eventually_refused(&clients, &id).await?;
    assert_eq!(refused, Code::FailedPrecondition);
    world.stack.all_run()
}

/// Somebody of whom every service knows something; and the segment that has nobody else.
pub(super) async fn known_customer(clients: &mut Clients) -> anyhow::Result<(String, String)> {
    let request = RegisterCustomerRequest {
        profile: Some(Profile {
            given_name: SECRETS[0].to_owned(),
            family_name: SECRETS[1].to_owned(),
            occupation: SECRETS[5].to_owned(),
            addresses: vec![PostalAddress {
                address_lines: vec![format!("{} Sok. 7", SECRETS[4])],
                country_code: "TR".to_owned(),
                ..PostalAddress::default()
            }],
            ..Profile::default()
        }),
        identifiers: vec![Identifier {
            r#type: IdentifierType::Email.into(),
            value: format!("{}.com", SECRETS[2]),
            system: String::new(),
        }],
        ..registration()
    };
    let registered = clients.customers.register_customer(request).await?;
    let id = registered.into_inner().customer_id;
    clients.customers.record_consent(consent(&id)).await?;
    record(clients, purchase(1, &id)).await?;
    let contact = Touchpoint {
        source: "till".to_owned(),
        source_id: "1".to_owned(),
        customer_id: id.clone(),
        channel: TouchpointChannel::Shop.into(),
        direction: Direction::Inbound.into(),
        role: "cashier".to_owned(),
        summary: format!("asked for {}", SECRETS[3]),
        occurred_time: Some(timestamp(now())),
        ..Touchpoint::default()
    };
    let contact = RecordTouchpointRequest {
        touchpoint: Some(contact),
    };
    clients.interactions.record_touchpoint(contact).await?;
    let buyers = segment("buyers", "purchases.count() >= 1");
    let defined = clients.segmentation.define_segment(buyers).await?;
    let segment = defined.into_inner().segment.unwrap_or_default();
    Ok((id, segment.segment_id))
}

async fn members(clients: &mut Clients, segment_id: &str) -> anyhow::Result<Vec<String>> {
    let request = ListSegmentMembersRequest {
        segment_id: segment_id.to_owned(),
        ..ListSegmentMembersRequest::default()
    };
    let answer = clients.segmentation.list_segment_members(request).await?;
    let members = answer.into_inner().members.into_iter();
    Ok(members.map(|member| member.customer_id).collect())
}

/// How many purchases the timeline has, and what is known of what was said.
async fn contacts(clients: &mut Clients, id: &str) -> anyhow::Result<(usize, Vec<String>)> {
    let deadline = Instant::now() + LIMIT + LIMIT;
    loop {
        let request = ListTimelineRequest {
            customer_id: id.to_owned(),
            ..ListTimelineRequest::default()
        };
        let answer = clients.interactions.list_timeline(request).await?;
        let (mut purchases, mut said) = (0, Vec::new());
        for entry in answer.into_inner().entries {
            match entry.interaction.context("an entry of something")? {
                Interaction::Purchase(_) => purchases += 1,
                Interaction::Touchpoint(contact) => said.push(contact.summary),
            }
        }
        // Whoever has read it may remember the key for half a minute.
        if said.iter().all(String::is_empty) || Instant::now() > deadline {
            return Ok((purchases, said));
        }
        sleep(PAUSE).await;
    }
}

async fn complete_receipt(
    clients: &mut Clients,
    id: &str,
) -> anyhow::Result<GetErasureReceiptResponse> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let request = GetErasureReceiptRequest {
            customer_id: id.to_owned(),
        };
        let answer = clients.customers.get_erasure_receipt(request).await?;
        let receipt = answer.into_inner();
        let done = |state| state == ErasureState::Done;
        assert_eq!(
            receipt.complete,
            receipt.services.iter().all(|service| done(service.state()))
        );
        if receipt.complete {
            return Ok(receipt);
        }
        ensure!(Instant::now() < deadline, "not complete: {receipt:?}");
        sleep(PAUSE).await;
    }
}

/// Interactions remembers for half a minute whom it knows.
async fn eventually_refused(clients: &Clients, id: &str) -> anyhow::Result<Code> {
    let deadline = Instant::now() + LIMIT + LIMIT;
    let mut line = 2;
    loop {
        match record(clients, purchase(line, id)).await {
            Err(status) => return Ok(status.code()),
            Ok(_) if Instant::now() > deadline => return Ok(Code::Ok),
            Ok(_) => line += 1,
        }
        sleep(PAUSE * 10).await;
    }
}

/// Has PostgreSQL write everything to its files, what it keeps there of the past included.
async fn write_all(world: &World) -> anyhow::Result<()> {
    for service in Service::ALL {
        let mut connection = PgConnection::connect(world.stack.databases.of(service)).await?;
        sqlx::query("vacuum full").execute(&mut connection).await?;
    }
    let mut connection = PgConnection::connect(&world.stack.databases.customers).await?;
    sqlx::query("alter system set wal_recycle = off")
        .execute(&mut connection)
        .await?;
    sqlx::query("select pg_reload_conf()")
        .execute(&mut connection)
        .await?;
    // Of the log that it writes ahead, what is older than the last checkpoint goes.
    for _ in 0..2 {
        sqlx::query("select pg_switch_wal()")
            .execute(&mut connection)
            .await?;
        sqlx::query("checkpoint").execute(&mut connection).await?;
    }
    Ok(())
}

/// Secrets that stand in a file of PostgreSQL, of NATS or of the services, each with the file.
fn found(world: &World) -> anyhow::Result<Vec<(&'static str, PathBuf)>> {
    let mut found = Vec::new();
    for directory in [
        world.servers.postgres.directory(),
        world.servers.nats.directory(),
        &crate::workspace::target().join("scenarios/erasure"),
    ] {
        for file in files(directory)? {
            // A file that goes while it is looked for holds nothing.
            let Ok(bytes) = fs::read(&file) else { continue };
            for secret in SECRETS {
                let is_there = bytes
                    .windows(secret.len())
                    .any(|window| window.eq_ignore_ascii_case(secret.as_bytes()));
                if is_there {
                    found.push((secret, file.clone()));
                }
            }
        }
    }
    Ok(found)
}

fn files(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(directory);
    for entry in entries.with_context(|| format!("reading {}", directory.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}
