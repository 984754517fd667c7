//! Containers whose process is killed.

use std::time::Instant;

use anyhow::{Context, bail, ensure};

use super::data::{Data, LIMIT};
use super::project::{Container, Project};
use crate::demo::client::Clients;
use crate::demo::service::PerService;

/// Commands before and after the crash.
const COMMANDS: usize = 100;
const POLL: std::time::Duration = std::time::Duration::from_millis(100);

/// Two replicas of customers take commands by turns, and one of them is killed meanwhile.
pub(super) async fn one_of_two_replicas(project: &Project, data: &mut Data) -> anyhow::Result<()> {
    project.up(&["--no-recreate", "--scale", "customers=2"])?;
    let mut clients = Vec::new();
    let addresses = project.addresses()?;
    for replica in [1, 2] {
        let addresses = PerService {
            customers: project.address("customers", 7401, replica)?,
            ..addresses.clone()
        };
        clients.push(Clients::at(&addresses, Some(data.token()))?);
    }
    ensure!(
        project.address("customers", 7401, 1)? != project.address("customers", 7401, 2)?,
        "two replicas have one address"
    );
    let victim = of_service(project, "customers")?.swap_remove(0);
    let (restarts, _) = project.restarts(&victim)?;
    for _ in 0..COMMANDS {
        take_turns(&mut clients, data).await?;
    }
    let killing = {
        let (project, victim) = (project, &victim);
        std::thread::scope(|scope| {
            let killing = scope.spawn(move || project.kill(victim));
            let sending = tokio::runtime::Handle::current();
            let sent = tokio::task::block_in_place(|| {
                sending.block_on(async {
                    for _ in 0..COMMANDS {
                        take_turns(&mut clients, data).await?;
                    }
                    anyhow::Ok(())
                })
            });
            let killed = killing.join();
            sent.and(killed.unwrap_or_else(|_| bail!("the thread that kills panicked")))
        })
    };
    killing?;
    came_back(project, &victim, restarts)?;
    project.up(&["--no-recreate", "--scale", "customers=2"])
}

/// The first to be asked is the other one each time.
async fn take_turns(clients: &mut [Clients], data: &mut Data) -> anyhow::Result<()> {
    clients.rotate_left(1);
    data.register(clients).await
}

/// Each that runs, one after the other; after each of them a customer comes and buys.
pub(super) async fn every_container(project: &Project, data: &mut Data) -> anyhow::Result<()> {
    for container in project.running_containers()? {
        let (restarts, _) = project.restarts(&container)?;
        let begun = Instant::now();
        project.kill(&container)?;
        came_back(project, &container, restarts)?;
        // Addresses change with each start.
        let mut clients = [data.clients(project)?];
        data.register(&mut clients).await?;
        data.buy(&mut clients).await?;
        println!(
            "    {:<13} killed, back, and all take commands after {:.1} s",
            container.service,
            begun.elapsed().as_secs_f64()
        );
    }
    Ok(())
}

fn of_service(project: &Project, service: &str) -> anyhow::Result<Vec<Container>> {
    let mut containers = project.running_containers()?;
    containers.retain(|one| one.service == service);
    ensure!(!containers.is_empty(), "{service} does not run");
    Ok(containers)
}

/// Waits until the engine has started it again and finds it healthy.
fn came_back(project: &Project, container: &Container, restarts: u32) -> anyhow::Result<()> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let (count, healthy) = project
            .restarts(container)
            .with_context(|| format!("looking at {}", container.service))?;
        if count > restarts && healthy {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!(
                "{} is not back after {LIMIT:?}: started again {} times, healthy: {healthy}",
                container.service,
                count - restarts
            );
        }
        std::thread::sleep(POLL);
    }
}
