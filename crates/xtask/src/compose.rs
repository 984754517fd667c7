//! `cargo xtask compose-test`: what deploy/README.md promises an operator, done to containers of its own, which go in the end.

mod analyst;
mod crashes;
mod data;
mod operations;
mod project;

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::demo::service::Service;
use crate::interrupt;
use crate::step::{answers, step};
use data::Data;
use project::{OTHER_TENANT, Project, TENANT};

/// From images that are built to services that serve.
const START_MAX: Duration = Duration::from_secs(60);
/// What the image adds to its base.
const IMAGE_BYTES_MAX: u64 = 60_000_000;

/// What is tested.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// An image that is there, instead of one that is built from this clone
    #[arg(long)]
    image: Option<String>,
}

/// Runs it all; the containers, their volumes and the image go in the end, also after a failure.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    interrupt::watch()?;
    if let Some(missing) = missing_engine() {
        anyhow::bail!("{missing}");
    }
    let project = Project::new(options.image)?;
    let outcome = play(&project);
    if outcome.is_err() {
        project.print_logs();
    }
    // A failure of the test is told rather than one of the removal, of which there is a line of its own.
    let removed = step("remove containers, volumes and image", || project.remove());
    outcome.and(removed)
}

/// Why there can be no containers on this machine, in one line; `None` when there can be.
pub(crate) fn missing_engine() -> Option<&'static str> {
    if !answers("docker", &["--version"]) {
        Some("docker is missing: install Docker Engine 20.10 or newer with its compose plugin")
    } else if !answers("docker", &["compose", "version"]) {
        Some("docker compose is missing: install Docker's compose plugin, 2.20 or newer")
    } else if !answers("docker", &["info", "--format", "{{.ServerVersion}}"]) {
        Some("no Docker engine answers: start one, or let this user reach it")
    } else {
        None
    }
}

fn play(project: &Project) -> anyhow::Result<()> {
    step("make secrets", || project.init(&[TENANT, OTHER_TENANT]))?;
    if project.builds() {
        step("build the image", || project.build())?;
        step("the image is small, labelled and not root's", || {
            image(project)
        })?;
    }
    step("start, and wait until all are healthy", || start(project))?;
    step("containers have no rights", || confined(project))?;
    step("a service reaches no other service's database", || {
        own_database_only(project)
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let mut data = step("a customer and purchases, read everywhere", || {
        runtime.block_on(Data::put(project))
    })?;
    step(
        "analysts subscribe to their tenant and do nothing else",
        || runtime.block_on(analyst::may_listen_and_no_more(project, &mut data)),
    )?;
    step("one of two replicas dies under load", || {
        runtime.block_on(crashes::one_of_two_replicas(project, &mut data))
    })?;
    step("each container dies once, and comes back", || {
        runtime.block_on(crashes::every_container(project, &mut data))
    })?;
    step("passwords are changed while all runs", || {
        runtime.block_on(operations::new_passwords(project, &mut data))
    })?;
    step("databases from before are put back", || {
        runtime.block_on(operations::put_back(project, &mut data))
    })?;
    step("nothing is lost, and nothing is there twice", || {
        runtime.block_on(data.is_whole(project))
    })?;
    // Followers may have read on in the streams of after before the relays purged them: that is kept in mind until their rows are made anew.
    step("read models are made anew", || {
        let rebuild = [
            "run",
            "--rm",
            "-T",
            "vefa",
            "projections",
            "rebuild",
            "--all",
        ];
        project.compose_said(&rebuild).map(drop)
    })?;
    step("vefa doctor", || project.doctor())
}

fn start(project: &Project) -> anyhow::Result<()> {
    let begun = Instant::now();
    project.up(&[])?;
    let taken = begun.elapsed();
    ensure!(
        taken <= START_MAX,
        "it took {taken:?}, and should take at most {START_MAX:?}"
    );
    Ok(())
}

fn image(project: &Project) -> anyhow::Result<()> {
    let inspect = |image: &str, format: &str| {
        project.docker_output(&["image", "inspect", "--format", format, image])
    };
    let bytes = |image: &str| -> anyhow::Result<u64> {
        inspect(image, "{{.Size}}")?
            .parse()
            .context("an image's size")
    };
    let added = bytes(project.image())?.saturating_sub(bytes("debian:bookworm-slim")?);
    println!("    {:.1} MB over its base", added as f64 / 1e6);
    ensure!(added <= IMAGE_BYTES_MAX, "at most {IMAGE_BYTES_MAX} bytes");
    let user = inspect(project.image(), "{{.Config.User}}")?;
    ensure!(user == "10001:10001", "its user is {user:?}");
    let label = r#"{{index .Config.Labels "org.opencontainers.image.revision"}}"#;
    let revision = inspect(project.image(), label)?;
    let commit = project.commit();
    ensure!(revision == commit, "labelled with {revision:?}");
    let said = project.docker_output(&["run", "--rm", project.image(), "version"])?;
    let expected = format!("vefa {} (commit {commit})", env!("CARGO_PKG_VERSION"));
    ensure!(said == expected, "{said:?} instead of {expected:?}");
    Ok(())
}

/// As docker itself tells it.
fn confined(project: &Project) -> anyhow::Result<()> {
    let format = "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.HostConfig.RestartPolicy.Name}}";
    for container in project.running_containers()? {
        let found = project.docker_output(&["inspect", "--format", format, &container.id])?;
        let expected = "true [ALL] [no-new-privileges:true] unless-stopped";
        let name = &container.service;
        ensure!(found == expected, "{name}: {found}, instead of {expected}");
    }
    Ok(())
}

/// The administrator's socket lets in every role without a password; what a role may do there is what it may do.
fn own_database_only(project: &Project) -> anyhow::Result<()> {
    for service in Service::ALL {
        let role = format!("vefa_{}", service.name());
        for other in Service::ALL {
            let database = format!("vefa_{}", other.name());
            let ask = ["psql", "-U", &role, "-d", &database, "-c", "select 1"];
            let outcome = project.exec("postgres", &ask);
            if other == service {
                outcome.with_context(|| format!("{role} in its own database"))?;
            } else {
                let refused = outcome.is_err_and(|said| {
                    format!("{said:#}").contains("permission denied for database")
                });
                ensure!(refused, "{role} gets into {database}");
            }
        }
    }
    Ok(())
}
