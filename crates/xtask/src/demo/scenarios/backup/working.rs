//! A backup of services at work, and a restore after which nothing that is recorded anew is taken for something else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use async_nats::jetstream;
use serde_json::Value;
use testing::eventually;

use super::drill::{Drill, LIMIT};
use super::traffic::{Acknowledged, LATER, Traffic, buy};
use crate::demo::logs::Logs;
use crate::demo::scenarios::World;
use crate::demo::scenarios::refusals::requests::segment;
use crate::demo::service::Service;
use crate::demo::settle::settle;

const REGULARS: u32 = 8;
/// Purchases that are to be acknowledged before it goes on.
const SOME: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_backup_of_services_at_work_fits_together_and_nothing_new_is_taken_for_applied()
-> anyhow::Result<()> {
    let mut stand = Stand::start("backup-at-work").await?;
    let traffic = stand.traffic().await?;
    let before = traffic.acknowledged();
    let said = stand.backup_with_a_gap("off")?;
    ensure!(
        said.contains("fit together were found at attempt"),
        "{said}"
    );
    more(&traffic, SOME).await;
    let all = traffic.stop().await?;
    stand.restored_from_what_fits(&before, &all).await?;
    let said = stand.restored_from_what_does_not_fit("off").await?;
    ensure!(said.contains("made anew: customers.purchases"), "{said}");
    stand.agrees().await
}

/// Each of the two guards is left out once: the one of the backup is made up for by the restore, the one of the restore by nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_backup_that_does_not_fit_and_a_restore_that_keeps_the_old_history_are_found_out()
-> anyhow::Result<()> {
    let mut stand = Stand::start("backup-broken").await?;
    let traffic = stand.traffic().await?;
    stand.backup_with_a_gap("return")?;
    more(&traffic, SOME).await;
    traffic.stop().await?;
    stand.stop()?;
    let said = stand.drill.restore(&["--replace"]).await?;
    ensure!(said.contains("made anew: customers.purchases"), "{said}");
    stand.start_services(&Service::ALL).await?;
    stand.agrees().await?;
    stand.restored_from_what_does_not_fit("return").await?;
    eventually(
        LIMIT,
        "the doctor finds rows that lack purchases",
        || async {
            let output = stand.drill.vefa(&["doctor", "--rebuild"]).ok()?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            said.contains("customers.purchases: customer_purchases DIFFERS")
                .then_some(())
        },
    )
    .await;
    Ok(())
}

async fn more(traffic: &Traffic, purchases: usize) {
    let enough = traffic.acknowledged().purchases.len() + purchases;
    eventually(LIMIT, "callers go on", || async {
        (traffic.acknowledged().purchases.len() >= enough).then_some(())
    })
    .await;
}

/// Services at work, and what they are restored from.
struct Stand {
    drill: Drill,
    /// Customers who are there in every backup.
    regulars: Vec<String>,
}

impl Stand {
    async fn start(name: &str) -> anyhow::Result<Self> {
        let world = World::start(name).await?;
        let mut drill = Drill {
            clients: world.clients.clone(),
            world,
            files: tempfile::tempdir().context("a directory for backups")?,
        };
        let mut regulars = Vec::new();
        for n in 0..REGULARS {
            regulars.push(drill.register(n).await?);
        }
        let rule = segment("buyers", "measures.purchases > 1");
        drill.clients.segmentation.define_segment(rule).await?;
        Ok(Self { drill, regulars })
    }

    /// Callers who go on from before an early backup until they are stopped.
    async fn traffic(&self) -> anyhow::Result<Traffic> {
        let traffic = Traffic::start(&self.drill.clients, &self.regulars);
        more(&traffic, SOME).await;
        self.drill.backup(&["--out", &self.drill.path("early")])?;
        more(&traffic, SOME).await;
        Ok(traffic)
    }

    /// Between the moments of interactions and of customers lies a second in which customers applies purchases, the first time.
    fn backup_with_a_gap(&self, broken: &str) -> anyhow::Result<String> {
        let gap = "backup-snapshot-taken=2*off->1*sleep(1000)->off";
        let failpoints = format!("{gap};broken-backup-fit={broken}");
        let out = self.drill.path("backup");
        let output = self.drill.vefa_with(
            &self.drill.world.servers.postgres_bin_dir(),
            &["backup", "--out", &out],
            &[("FAILPOINTS", &failpoints)],
        )?;
        ensure!(output.status.success(), "{output:?}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// What was acknowledged before the backup is there, all agree on it, and no row had to be made anew.
    async fn restored_from_what_fits(
        &mut self,
        before: &Acknowledged,
        all: &Acknowledged,
    ) -> anyhow::Result<()> {
        self.stop()?;
        let said = self.drill.restore(&["--replace"]).await?;
        ensure!(!said.contains("made anew"), "{said}");
        self.start_services(&Service::ALL).await?;
        let mut bought = Vec::new();
        for (n, customer) in (LATER..).zip(&self.regulars) {
            bought.push(buy(&self.drill.clients, n, customer).await?);
        }
        self.agrees().await?;
        let recorded = self.recorded().await?;
        let mut expected = before.purchases.iter().chain(&bought);
        ensure!(expected.all(|id| recorded.contains(id)), "{recorded:?}");
        ensure!(
            all.purchases.iter().any(|id| !recorded.contains(id)),
            "the backup is of a moment at which all was over"
        );
        for customer in before.customers.iter().chain(&self.regulars) {
            self.drill.name_of(customer).await?;
        }
        Ok(())
    }

    /// The dump of interactions is of an earlier backup, NATS has lost its streams, and purchases take the positions of those that are gone
    /// before anybody who follows looks.
    async fn restored_from_what_does_not_fit(&mut self, broken: &str) -> anyhow::Result<String> {
        self.stop()?;
        let lost = self.mix()?;
        ensure!(lost > 0, "both backups are of the same purchases");
        let failpoints = format!("broken-restore-history={broken}");
        let settings = [("FAILPOINTS", failpoints.as_str())];
        let programs = self.drill.world.servers.postgres_bin_dir();
        let output = self
            .drill
            .restore_with(&programs, "mixed", &["--replace"], &settings)
            .await;
        ensure!(output.status.success(), "{output:?}");
        let nats = async_nats::connect(self.drill.world.servers.nats.url()).await?;
        for service in Service::ALL {
            let name = service.name().to_uppercase();
            jetstream::new(nats.clone()).delete_stream(&name).await?;
        }
        self.start_services(&[Service::Interactions]).await?;
        let again = (0..=lost).flat_map(|_| &self.regulars);
        for (n, customer) in (2 * LATER..).zip(again) {
            buy(&self.drill.clients, n, customer).await?;
        }
        let others = [
            Service::Customers,
            Service::Segmentation,
            Service::Campaigns,
        ];
        self.start_services(&others).await?;
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Puts the dump of interactions of the earlier backup into the later one. Returns how many positions of a partition it lacks, at most.
    fn mix(&self) -> anyhow::Result<i64> {
        let [early, late, mixed] = ["early", "backup", "mixed"].map(|name| self.drill.path(name));
        fs::create_dir(&mixed)?;
        for entry in fs::read_dir(&late)? {
            let entry = entry?;
            fs::copy(entry.path(), Path::new(&mixed).join(entry.file_name()))?;
        }
        let dump = |backup: &str| Path::new(backup).join("interactions.dump");
        fs::copy(dump(&early), dump(&mixed))?;
        let (earlier, mut manifest) = (manifest(&early)?, manifest(&late)?);
        let (ours, theirs) = (&mut manifest["services"][1], &earlier["services"][1]);
        let heads = positions(theirs)?;
        let lost = positions(ours)?
            .into_iter()
            .map(|(partition, head)| head - heads.get(&partition).copied().unwrap_or(0))
            .max();
        *ours = theirs.clone();
        let text = serde_json::to_vec(&manifest)?;
        fs::write(Path::new(&mixed).join("manifest.json"), text)?;
        lost.context("interactions has events")
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        let stack = &mut self.drill.world.stack;
        let mut services = Service::ALL.into_iter();
        services.try_for_each(|service| stack.stop(service))
    }

    async fn start_services(&mut self, services: &[Service]) -> anyhow::Result<()> {
        for service in services {
            self.drill.world.stack.start_one(*service)?;
        }
        self.drill.world.stack.ready().await
    }

    /// Everybody has applied everything, and what they have made of it is what the logs make of it.
    async fn agrees(&self) -> anyhow::Result<()> {
        settle(&self.drill.clients).await?;
        let output = self.drill.vefa(&["doctor", "--streams", "--rebuild"])?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "{said}");
        Ok(())
    }

    /// Source ids of the purchases in the log.
    async fn recorded(&self) -> anyhow::Result<BTreeSet<String>> {
        let logs = Logs::new(self.drill.world.stack.databases.clone());
        let purchases = logs.purchases().await?;
        Ok(purchases.into_iter().map(|(id, ..)| id).collect())
    }
}

fn manifest(backup: &str) -> anyhow::Result<Value> {
    let text = fs::read(Path::new(backup).join("manifest.json"))?;
    Ok(serde_json::from_slice(&text)?)
}

fn positions(dumped: &Value) -> anyhow::Result<BTreeMap<String, i64>> {
    let positions = dumped["extent"]["positions"].clone();
    Ok(serde_json::from_value(positions)?)
}
