//! A customers service that runs, and what its tests ask of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output},
};

use sqlx::{Connection as _, PgConnection};
use testing::{spawn_bound, wait_until};

use crate::{Ground, SOON};

/// The service, and files to import.
pub(super) struct Import {
    ground: Ground,
    service: Option<Child>,
    pub(super) files: tempfile::TempDir,
}

impl Import {
    pub(super) async fn start() -> Self {
        let mut import = Self {
            ground: Ground::new().await,
            service: None,
            files: tempfile::tempdir().unwrap(),
        };
        import.serve();
        import
    }

    pub(super) fn serve(&mut self) {
        let mut command = self.ground.command(&["serve", "customers"]);
        command.env("VEFA__DATABASE__MIGRATE", "true");
        let log = fs::File::create(self.files.path().join("service.log")).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.service = Some(spawn_bound(command).unwrap());
        let healthy = wait_until(SOON, || {
            let health = ["health", &self.ground.address];
            let asked = self.ground.command(&health).output().unwrap();
            asked.status.success().then_some(())
        });
        let log = fs::read_to_string(self.files.path().join("service.log"));
        healthy.unwrap_or_else(|| panic!("{log:?}"));
    }

    pub(super) fn kill_service(&mut self) {
        if let Some(mut service) = self.service.take() {
            service.kill().unwrap();
            service.wait().unwrap();
        }
    }

    pub(super) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.files.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    pub(super) fn command(&self, file: &Path, more: &[&str]) -> Command {
        let file = file.to_str().unwrap();
        let mut arguments = vec!["import", "customers", file, "--tenant", "demo"];
        arguments.extend(more);
        self.ground.command(&arguments)
    }

    pub(super) fn import(&self, file: &Path, more: &[&str]) -> Output {
        self.command(file, more).output().unwrap()
    }

    async fn one<T>(&self, query: &'static str) -> T
    where
        (T,): for<'row> sqlx::FromRow<'row, sqlx::postgres::PgRow>,
        T: Send + Unpin,
    {
        let url = self.ground.database.url();
        let mut connection = PgConnection::connect(url).await.unwrap();
        let row: (T,) = sqlx::query_as(query)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        row.0
    }

    pub(super) async fn customers(&self) -> i64 {
        self.one("select count(*) from event where type like '%.CustomerRegistered'")
            .await
    }

    /// Everything that a command leaves: events, and what repeats are known by.
    pub(super) async fn traces(&self) -> i64 {
        self.one("select (select count(*) from event) + (select count(*) from command_log)")
            .await
    }

    pub(super) async fn stop(mut self) {
        self.kill_service();
        self.ground.database.drop().await.unwrap();
    }
}

/// Line, column, code and reason of each rejection of a file.
pub(super) fn rejected(file: &Path) -> Vec<String> {
    rejections(file, ".rejected.jsonl")
}

/// Those that are told beside the file in one of this ending.
pub(super) fn rejections(file: &Path, ending: &str) -> Vec<String> {
    let mut path = file.to_owned().into_os_string();
    path.push(ending);
    let Ok(text) = fs::read_to_string(&path) else {
        return Vec::new();
    };
    text.lines()
        .map(|line| {
            let one: serde_json::Value = serde_json::from_str(line).unwrap();
            let of = |name: &str| one[name].as_str().unwrap().to_owned();
            format!(
                "{} {} {} {}",
                one["line"],
                of("column"),
                of("code"),
                of("reason")
            )
        })
        .collect()
}
