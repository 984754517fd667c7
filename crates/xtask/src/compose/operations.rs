//! What an operator does now and then, as deploy/README.md tells it.

use super::data::Data;
use super::project::Project;
use crate::demo::service::Service;

/// Customers who come after what is put back later, and are gone then.
const LATER: usize = 5;

/// Passwords of NATS and of a database, while commands come.
pub(super) async fn new_passwords(project: &Project, data: &mut Data) -> anyhow::Result<()> {
    project.init(&["--anew", "nats.password"])?;
    project.compose_said(&["kill", "--signal", "HUP", "nats"])?;
    let mut clients = [data.clients(project)?];
    data.register(&mut clients).await?;
    data.buy(&mut clients).await?;
    // Published by services that were let in with the new one; nobody is with the old one.
    data.is_published(project).await?;

    project.init(&["--anew", "customers.password"])?;
    project.compose_said(&["run", "--rm", "-T", "databases"])?;
    project.compose_said(&["restart", "customers"])?;
    let mut clients = [data.clients(project)?];
    data.register(&mut clients).await
}

/// All four databases as they were some time ago. Copied within PostgreSQL: what carries them elsewhere and back is `pg_dump`'s affair; what
/// Vefa makes of databases from before, while NATS has the streams of after, is ours.
pub(super) async fn put_back(project: &Project, data: &mut Data) -> anyhow::Result<()> {
    data.is_published(project).await?;
    let services = Service::ALL.map(Service::name);
    project.compose_said(&[&["stop"], &services[..]].concat())?;
    for name in services {
        administrate(
            project,
            &format!("create database kept_{name} template vefa_{name} owner vefa_{name}"),
        )?;
    }
    project.up(&["--no-recreate", "--scale", "customers=2"])?;
    let then = data.clone();
    let mut clients = [data.clients(project)?];
    for _ in 0..LATER {
        data.register(&mut clients).await?;
        data.buy(&mut clients).await?;
    }
    data.is_published(project).await?;
    project.compose_said(&[&["stop"], &services[..]].concat())?;
    for name in services {
        administrate(project, &format!("drop database vefa_{name}"))?;
        administrate(
            project,
            &format!("alter database kept_{name} rename to vefa_{name}"),
        )?;
    }
    project.up(&["--no-recreate", "--scale", "customers=2"])?;
    data.is_again(then);
    let mut clients = [data.clients(project)?];
    data.register(&mut clients).await?;
    data.buy(&mut clients).await
}

fn administrate(project: &Project, statement: &str) -> anyhow::Result<String> {
    let psql = ["psql", "-U", "postgres", "-d", "postgres", "-c", statement];
    project.exec("postgres", &psql)
}
