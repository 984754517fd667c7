//! Somebody asks what is known: all of it is in one document, from every service, and nothing of anybody else.

use std::{fs, path::Path};

use anyhow::{Context as _, ensure};
use contracts::customers::v1::{
    EraseCustomerRequest, ErasureReason, MergeCustomersRequest, Profile, RegisterCustomerRequest,
};
use serde_json::Value;

use super::World;
use super::erasure::{SECRETS, known_customer};
use super::refusals::requests::registration;
use crate::demo::settle::settle;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_is_known_of_a_customer_is_exported_and_after_an_erasure_nothing_personal()
-> anyhow::Result<()> {
    let mut world = World::start("subject").await?;
    let mut clients = world.clients.clone();
    let (id, _) = known_customer(&mut clients).await?;
    let duplicate = RegisterCustomerRequest {
        request_id: "duplicate".to_owned(),
        identifiers: Vec::new(),
        profile: Some(Profile {
            given_name: "Zübeyde Hanım".to_owned(),
            ..Profile::default()
        }),
        ..registration()
    };
    let duplicate = clients.customers.register_customer(duplicate).await?;
    let duplicate = duplicate.into_inner().customer_id;
    let stranger = RegisterCustomerRequest {
        request_id: "stranger".to_owned(),
        identifiers: Vec::new(),
        ..registration()
    };
    let stranger = clients.customers.register_customer(stranger).await?;
    let stranger = stranger.into_inner().customer_id;
    let merge = MergeCustomersRequest {
        customer_id: id.clone(),
        duplicate_customer_id: duplicate.clone(),
        ..MergeCustomersRequest::default()
    };
    clients.customers.merge_customers(merge).await?;
    settle(&clients).await?;

    let directory = tempfile::tempdir()?;
    // By the old id.
    let (json, html) = exported(&world, &duplicate, "demo", &directory.path().join("one"))?;
    for text in [&json, &html] {
        for secret in SECRETS {
            let is_there = text.to_lowercase().contains(&secret.to_lowercase());
            ensure!(is_there, "{secret} is not exported: {text}");
        }
        ensure!(text.contains("Zübeyde Hanım") && text.contains(&duplicate));
        ensure!(!text.contains(&stranger), "somebody else is exported");
        ensure!(!text.contains("ealed"), "a ciphertext is exported: {text}");
    }
    let document: Value = serde_json::from_str(&json)?;
    assert_eq!(document["customer_id"], Value::String(id.clone()));
    let told = |service: &str, type_: &str| {
        let mut events = document["events"].as_array().into_iter().flatten();
        events.any(|event| event["service"] == service && event["type"] == type_)
    };
    for (service, type_) in [
        ("customers", "CustomerRegistered"),
        ("customers", "ConsentRecorded"),
        ("customers", "CustomerMerged"),
        ("interactions", "PurchaseRecorded"),
        ("interactions", "TouchpointRecorded"),
        ("segmentation", "SegmentEntered"),
    ] {
        ensure!(told(service, type_), "no {type_} of {service}: {json}");
    }

    // What is there is not written over, and of nobody there is no file.
    let again = run(&world, &id, "demo", &directory.path().join("one"))?;
    ensure!(again.contains("is there already"), "{again}");
    let elsewhere = directory.path().join("elsewhere");
    let unknown = run(&world, &id, "other", &elsewhere)?;
    ensure!(
        unknown.contains("NotFound") || unknown.contains("not found"),
        "{unknown}"
    );
    ensure!(!elsewhere.exists());

    let erase = EraseCustomerRequest {
        customer_id: id.clone(),
        reason: ErasureReason::SubjectRequest.into(),
        ..EraseCustomerRequest::default()
    };
    clients.customers.erase_customer(erase).await?;
    settle(&clients).await?;
    // The processes remember a key for half a minute; started anew they do not.
    for service in [
        crate::demo::service::Service::Interactions,
        crate::demo::service::Service::Segmentation,
    ] {
        world.stack.kill(service)?;
        world.stack.restart(service).await?;
    }
    let (json, html) = exported(&world, &id, "demo", &directory.path().join("two"))?;
    for secret in SECRETS {
        let is_there = [&json, &html]
            .iter()
            .any(|text| text.to_lowercase().contains(&secret.to_lowercase()));
        ensure!(!is_there, "{secret} is exported after the erasure");
    }
    ensure!(json.contains("CustomerErased") && html.contains("(destroyed)"));
    world.stack.all_run()
}

/// Both files of an export.
fn exported(world: &World, id: &str, tenant: &str, out: &Path) -> anyhow::Result<(String, String)> {
    let said = run(world, id, tenant, out)?;
    let read = |name| fs::read_to_string(out.join(name)).context(said.clone());
    Ok((read("subject.json")?, read("subject.html")?))
}

/// What an export says.
fn run(world: &World, id: &str, tenant: &str, out: &Path) -> anyhow::Result<String> {
    let out = out.to_str().context("a path in UTF-8")?;
    let arguments = ["subject", "export", id, "--tenant", tenant, "--out", out];
    let ended = world.stack.command(&arguments)?.output();
    let ended = ended.context("vefa subject export")?;
    Ok(String::from_utf8([ended.stdout, ended.stderr].concat())?)
}
