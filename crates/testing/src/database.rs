//! A database of its own for each test, on the server that all tests of a run share.

use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection};
use url::Url;
use uuid::Uuid;

use crate::environment::{TestEnvironmentError, TestServers};

/// PostgreSQL cuts longer names; the random part must not be what is cut.
const LABEL_CHARS_MAX: usize = 28;

/// Why a test got no database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Nobody started the servers.
    #[error(transparent)]
    Environment(#[from] TestEnvironmentError),
    /// The server's address cannot be read.
    #[error("the address of PostgreSQL is not a URL")]
    Address(#[from] url::ParseError),
    /// The server refused.
    #[error("PostgreSQL did not do as asked")]
    Refused(#[from] sqlx::Error),
}

/// An empty database that no other test knows. It goes with [`Self::drop`], else with the server.
#[derive(Debug)]
pub struct TestDatabase {
    admin_url: String,
    name: String,
    url: String,
}

impl TestDatabase {
    /// A new database on the server that `cargo xtask test` started. The label, of letters and digits,
    /// shows in its name.
    ///
    /// # Errors
    /// When no server is known, or it refuses.
    pub async fn create(label: &str) -> Result<Self, DatabaseError> {
        Self::create_on(&TestServers::from_env()?.postgres_url, label).await
    }

    /// The same on another server, named by the address of its administrator.
    ///
    /// # Errors
    /// When the address is no URL, or the server refuses.
    pub async fn create_on(admin_url: &str, label: &str) -> Result<Self, DatabaseError> {
        let name = unique_name(label);
        let url = with_database(admin_url, &name)?;
        execute(
            admin_url,
            format!("create database {name} template template0"),
        )
        .await?;
        Ok(Self {
            admin_url: admin_url.to_owned(),
            name,
            url,
        })
    }

    /// The database's address, as the server's administrator.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Removes the database, and ends whatever is still connected to it.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn drop(self) -> Result<(), DatabaseError> {
        execute(
            &self.admin_url,
            format!("drop database if exists {} with (force)", self.name),
        )
        .await
    }
}

/// Names cannot be bound as parameters; [`unique_name`] makes them of harmless characters only.
async fn execute(admin_url: &str, statement: String) -> Result<(), DatabaseError> {
    use sqlx::Connection;

    let mut connection: PgConnection = PgConnectOptions::from_str(admin_url)?.connect().await?;
    connection.execute(AssertSqlSafe(statement)).await?;
    connection.close().await?;
    Ok(())
}

fn unique_name(label: &str) -> String {
    let label: String = label
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .take(LABEL_CHARS_MAX)
        .collect();
    let random = Uuid::new_v4().simple();
    format!("t_{}_{random}", label.to_ascii_lowercase())
}

fn with_database(server: &str, database: &str) -> Result<String, url::ParseError> {
    let mut url = Url::parse(server)?;
    url.set_path(database);
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_harmless_in_sql_and_short_enough_to_be_kept_whole() {
        let name = unique_name("Şikâyet; drop database \"x\" -- and much more text than fits");
        assert!(name.len() <= 63, "{name}");
        assert!(name.starts_with("t_ikyetdropdatabasex"), "{name}");
        assert!(
            name.chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        );
        assert_ne!(unique_name("same"), unique_name("same"));
    }

    #[test]
    fn another_database_keeps_the_rest_of_the_address() {
        assert_eq!(
            with_database(
                "postgres://u:p@127.0.0.1:20001/postgres?sslmode=disable",
                "mine"
            )
            .unwrap(),
            "postgres://u:p@127.0.0.1:20001/mine?sslmode=disable"
        );
    }
}
