//! The master key is replaced while the services run, and the old one is thrown away.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, ensure};
use contracts::customers::v1::{
    GetCustomerRequest, ListCustomersRequest, Profile, RegisterCustomerRequest,
};

use super::World;
use super::refusals::requests::registration;
use crate::demo::client::Clients;
use crate::demo::service::Service;
use crate::demo::settle::settle;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_master_key_takes_over_and_the_old_one_is_not_needed_any_more() -> anyhow::Result<()>
{
    let mut world = World::start("keys").await?;
    let mut clients = world.clients.clone();
    let mut known = vec![registered(&mut clients, "Ayşe").await?];
    let file = file(&world)?;
    let old = fs::read_to_string(&file)?;
    let new = "5e".repeat(32);
    fs::write(&file, format!("{new}\n{old}"))?;
    known.push(registered(&mut clients, "Fatma").await?);

    let (left, said) = rewrap(&world, true)?;
    assert!(left && said.contains("customers     "), "{said}");
    let (failed, said) = rewrap(&world, false)?;
    assert!(!failed, "{said}");
    // Each of the two has a key, and the tenant has one for digests.
    assert!(
        said.contains("data keys, 1 wrapped anew") || said.contains("data keys, 2 wrapped anew"),
        "{said}"
    );
    let (left, said) = rewrap(&world, true)?;
    assert!(!left, "{said}");

    fs::write(&file, &new)?;
    known.push(registered(&mut clients, "Zeynep").await?);
    // What was in memory is not any more.
    world.stack.kill(Service::Customers)?;
    world.stack.restart(Service::Customers).await?;
    for (id, name) in &known {
        assert_eq!(&name_of(&mut clients, id).await?, name);
    }
    settle(&clients).await?;
    let all = clients
        .customers
        .list_customers(ListCustomersRequest::default())
        .await?;
    assert_eq!(all.into_inner().customers.len(), known.len());

    // With the old one alone, they are not readable: it was truly replaced.
    world.stack.kill(Service::Customers)?;
    fs::write(&file, &old)?;
    let (failed, said) = rewrap(&world, true)?;
    ensure!(failed, "the old master key still opens everything: {said}");
    fs::write(&file, &new)?;
    world.stack.restart(Service::Customers).await?;
    world.stack.all_run()
}

fn file(world: &World) -> anyhow::Result<PathBuf> {
    Ok(world.stack.setting("VEFA__KEYS__MASTER_KEY_FILE")?.into())
}

/// Whether `vefa keys rewrap` ended with a failure, and what it said.
fn rewrap(world: &World, check: bool) -> anyhow::Result<(bool, String)> {
    let arguments: &[&str] = if check {
        &["keys", "rewrap", "--check"]
    } else {
        &["keys", "rewrap"]
    };
    let ended = world.stack.command(arguments)?.output();
    let ended = ended.context("vefa keys rewrap")?;
    let said = [ended.stdout, ended.stderr].concat();
    Ok((!ended.status.success(), String::from_utf8(said)?))
}

async fn registered(clients: &mut Clients, name: &str) -> anyhow::Result<(String, String)> {
    let request = RegisterCustomerRequest {
        request_id: name.to_owned(),
        identifiers: Vec::new(),
        profile: Some(Profile {
            given_name: name.to_owned(),
            ..Profile::default()
        }),
        ..registration()
    };
    let answer = clients.customers.register_customer(request).await?;
    Ok((answer.into_inner().customer_id, name.to_owned()))
}

async fn name_of(clients: &mut Clients, id: &str) -> anyhow::Result<String> {
    let request = GetCustomerRequest {
        customer_id: id.to_owned(),
        ..GetCustomerRequest::default()
    };
    let answer = clients.customers.get_customer(request).await?;
    let customer = answer.into_inner().customer.unwrap_or_default();
    Ok(customer.profile.unwrap_or_default().given_name)
}
