//! What the drill does, one thing at a time.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, ensure};
use contracts::customers::v1::{
    CustomerKind, EraseCustomerRequest, ErasureReason, GetCustomerRequest,
    GetErasureReceiptRequest, Identifier, IdentifierType, Profile, RegisterCustomerRequest,
};
use sqlx::{Connection, PgConnection};
use testing::eventually;
use tonic::Code;

use crate::demo::client::Clients;
use crate::demo::scenarios::World;
use crate::demo::service::Service;

pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// A backup that is made, and the list that outlives it.
pub(super) struct Drill {
    pub(super) world: World,
    pub(super) clients: Clients,
    pub(super) files: tempfile::TempDir,
}

impl Drill {
    pub(super) fn path(&self, name: &str) -> String {
        self.files.path().join(name).to_string_lossy().into_owned()
    }

    pub(super) fn vefa(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        self.vefa_with(&self.world.servers.postgres_bin_dir(), arguments, &[])
    }

    /// With these programs of PostgreSQL, where it needs any, and settings of its own.
    pub(super) fn vefa_with(
        &self,
        programs: &Path,
        arguments: &[&str],
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Output> {
        let mut command = self.world.stack.command(arguments)?;
        if ["backup", "restore"].contains(&arguments[0]) {
            command.arg("--postgres-programs").arg(programs);
        }
        command.envs(settings.iter().copied());
        command.output().context("starting vefa")
    }

    pub(super) fn backup(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let output = self.vefa(&[&["backup"], arguments].concat())?;
        ensure!(output.status.success(), "{output:?}");
        Ok(())
    }

    pub(super) async fn restore(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let programs = self.world.servers.postgres_bin_dir();
        let output = self.restore_with(&programs, "backup", arguments, &[]).await;
        ensure!(output.status.success(), "{output:?}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Restores once nobody has a lease any more.
    pub(super) async fn restore_with(
        &self,
        programs: &Path,
        backup: &str,
        arguments: &[&str],
        settings: &[(&str, &str)],
    ) -> Output {
        let from = self.path(backup);
        let arguments = [&["restore", "--from", &from], arguments].concat();
        eventually(LIMIT, "the leases have run out", || async {
            let output = self.vefa_with(programs, &arguments, settings).ok()?;
            let held = String::from_utf8_lossy(&output.stderr).contains("has the lease");
            (!held).then_some(output)
        })
        .await
    }

    /// Events of customers.
    pub(super) async fn events(&self) -> anyhow::Result<i64> {
        let mut connection = PgConnection::connect(&self.world.stack.databases.customers).await?;
        let count = sqlx::query_scalar("select count(*) from event");
        Ok(count.fetch_one(&mut connection).await?)
    }

    pub(super) async fn register(&mut self, n: u32) -> anyhow::Result<String> {
        let request = RegisterCustomerRequest {
            request_id: format!("customer-{n}"),
            kind: CustomerKind::Person.into(),
            profile: Some(Profile {
                given_name: format!("Kept{n}"),
                ..Profile::default()
            }),
            identifiers: vec![Identifier {
                r#type: IdentifierType::Email.into(),
                value: format!("kept{n}@example.com"),
                system: String::new(),
            }],
            ..RegisterCustomerRequest::default()
        };
        let answer = self.clients.customers.register_customer(request).await?;
        Ok(answer.into_inner().customer_id)
    }

    /// Erases, and waits until every service has.
    pub(super) async fn erase(&mut self, id: &str) -> anyhow::Result<()> {
        let request = EraseCustomerRequest {
            customer_id: id.to_owned(),
            reason: ErasureReason::SubjectRequest.into(),
            ..EraseCustomerRequest::default()
        };
        self.clients.customers.erase_customer(request).await?;
        eventually(LIMIT, "the receipt is complete", || async {
            let request = GetErasureReceiptRequest {
                customer_id: id.to_owned(),
            };
            let mut customers = self.clients.customers.clone();
            let answer = customers.get_erasure_receipt(request).await.ok()?;
            answer.into_inner().complete.then_some(())
        })
        .await;
        Ok(())
    }

    /// Those of the backup by name, the erased without one, and those who came later not at all.
    pub(super) async fn knows(
        &self,
        kept: &[String],
        erased: &[&String],
        lost: &[String],
    ) -> anyhow::Result<()> {
        for id in kept {
            let name = self.name_of(id).await?;
            ensure!(name.starts_with("Kept"), "{id}: {name}");
        }
        for id in erased {
            let name = self.name_of(id).await?;
            ensure!(name.is_empty(), "{id}: {name}");
        }
        for id in lost {
            let answer = self.name_of(id).await;
            let code = answer.err().map(|status| status.code());
            ensure!(code == Some(Code::NotFound), "{id}: {code:?}");
        }
        Ok(())
    }

    pub(super) async fn name_of(&self, id: &str) -> Result<String, tonic::Status> {
        let request = GetCustomerRequest {
            customer_id: id.to_owned(),
            ..GetCustomerRequest::default()
        };
        let answer = self.clients.customers.clone().get_customer(request).await?;
        let customer = answer.into_inner().customer.unwrap_or_default();
        Ok(customer.profile.unwrap_or_default().given_name)
    }

    /// In no database is there a key of the customer, and none can be made.
    pub(super) async fn is_keyless(&self, id: &str) -> anyhow::Result<()> {
        for service in Service::ALL {
            let mut connection =
                PgConnection::connect(self.world.stack.databases.of(service)).await?;
            let keys: Vec<bool> = sqlx::query_scalar(
                "select wrapped_key is null and destroyed_at is not null from subject_key where subject::text = $1",
            )
            .bind(id)
            .fetch_all(&mut connection)
            .await?;
            ensure!(keys == [true], "{}: {keys:?}", service.name());
        }
        Ok(())
    }
}

/// What a command says when it fails, as it must.
pub(super) fn refusal(output: &Output) -> anyhow::Result<String> {
    ensure!(output.status.code() == Some(1), "{output:?}");
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}
