//! PostgreSQL's own programs, which make and read dumps. A password goes to them in the environment, which other users do not see.

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context as _, Result, bail};
use percent_encoding::percent_decode_str;
use service::{Config, ServiceName};
use tokio::process::Command;
use url::Url;

/// What sqlx takes in a URL and PostgreSQL's programs do not.
const SQLX_ONLY: &str = "statement-cache-capacity";

/// Where the programs are.
#[derive(clap::Args)]
pub(crate) struct Tools {
    /// Directory of pg_dump, pg_restore and psql, where they are not to be taken from the PATH. They must not be older than the server.
    #[arg(long = "postgres-programs", value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Tools {
    /// Passes where all of these can be run.
    pub(crate) async fn require(&self, programs: &[&str]) -> Result<()> {
        for program in programs {
            let path = self.path(program);
            let mut command = Command::new(&path);
            command.arg("--version").stdin(Stdio::null());
            let answer = command.output().await.with_context(|| {
                format!(
                    "{} cannot be run: install PostgreSQL's client programs, or name their directory with --postgres-programs",
                    path.display()
                )
            })?;
            if !answer.status.success() {
                bail!("{} --version failed ({})", path.display(), answer.status);
            }
        }
        Ok(())
    }

    /// A program that works on nothing yet.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.path(program));
        command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// A program that works on the database of a service.
    pub(crate) fn command_on(
        &self,
        program: &str,
        config: &Config,
        service: ServiceName,
    ) -> Result<Command> {
        let url = config.database.url.of(service).expose();
        // The URL itself is not shown: it may hold a password.
        let (url, password) =
            without_password(url).with_context(|| format!("database.url.{service}"))?;
        let mut command = self.command(program);
        command.arg(format!("--dbname={url}"));
        if let Some(password) = password {
            command.env("PGPASSWORD", password);
        }
        Ok(command)
    }

    fn path(&self, program: &str) -> PathBuf {
        match &self.directory {
            Some(directory) => directory.join(program),
            None => PathBuf::from(program),
        }
    }
}

/// The URL as the programs take it, and the password apart.
fn without_password(url: &str) -> Result<(String, Option<String>)> {
    let mut url = Url::parse(url).context("it cannot be read")?;
    let decoded = url.password().map(|password| {
        let decoded = percent_decode_str(password).decode_utf8();
        decoded.map(|password| password.into_owned())
    });
    let mut password = decoded.transpose().context("the password is not UTF-8")?;
    if url.password().is_some() {
        url.set_password(None)
            .map_err(|()| anyhow::anyhow!("it names no host"))?;
    }
    let mut kept = Vec::new();
    let mut dropped = false;
    for (name, value) in url.query_pairs() {
        if name == "password" {
            password = Some(value.into_owned());
            dropped = true;
        } else if name == SQLX_ONLY {
            dropped = true;
        } else {
            kept.push((name.into_owned(), value.into_owned()));
        }
    }
    if dropped {
        url.set_query(None);
    }
    if dropped && !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
    Ok((url.into(), password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_stays_in_the_url() {
        let password = Some("p w%@".to_owned());
        for (given, url, expected) in [
            (
                "postgres://u:p%20w%25%40@h:1/d",
                "postgres://u@h:1/d",
                &password,
            ),
            (
                "postgres://u@h/d?password=p%20w%25%40&statement-cache-capacity=5&sslmode=require",
                "postgres://u@h/d?sslmode=require",
                &password,
            ),
            (
                "postgres://u@h/d?sslmode=disable",
                "postgres://u@h/d?sslmode=disable",
                &None,
            ),
        ] {
            let (without, found) = without_password(given).unwrap();
            assert_eq!((without.as_str(), &found), (url, expected));
        }
    }
}
