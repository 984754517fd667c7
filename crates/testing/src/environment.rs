//! What the environment tells tests and tools: where the servers are, and which programs to use.

use uuid::Uuid;

/// Names the directory that holds `postgres` and `initdb`. Set but empty: do not look on the machine.
pub const POSTGRES_BIN_DIR_VARIABLE: &str = "VEFA_PG_BIN_DIR";
/// Names the nats-server program. Set but empty: do not look on the machine.
pub const NATS_SERVER_VARIABLE: &str = "VEFA_NATS_SERVER";
/// The address of the PostgreSQL server for tests, as its administrator, database `postgres`.
pub const POSTGRES_URL_VARIABLE: &str = "VEFA_TEST_POSTGRES_URL";
/// The address of the NATS server for tests.
pub const NATS_URL_VARIABLE: &str = "VEFA_TEST_NATS_URL";

/// A variable of the environment; `None` where it is not set or is no Unicode.
pub fn environment_variable(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "not a service: there is no configuration file, the environment is how cargo xtask speaks to its tests"
    )]
    std::env::var(name).ok()
}

/// The environment does not say where the servers for tests are.
#[derive(Debug, thiserror::Error)]
#[error("{variable} is not set: run the tests with `cargo xtask test`, which starts the servers")]
pub struct TestEnvironmentError {
    variable: &'static str,
}

/// The servers that all tests of a run share. A database for each test ([`crate::TestDatabase`]) and a
/// prefix for its streams keep the tests apart.
#[derive(Debug, Clone)]
pub struct TestServers {
    /// PostgreSQL's administrator, database `postgres`.
    pub postgres_url: String,
    /// NATS with JetStream.
    pub nats_url: String,
}

impl TestServers {
    /// The servers that `cargo xtask test` started.
    ///
    /// # Errors
    /// When the environment names none.
    pub fn from_env() -> Result<Self, TestEnvironmentError> {
        Self::from_lookup(environment_variable)
    }

    /// A prefix for the names and subjects of a test's streams that no other test has: a letter and 12
    /// hexadecimal digits.
    pub fn unique_prefix() -> String {
        let random = Uuid::new_v4().simple().to_string();
        format!("t{}", &random[..12])
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, TestEnvironmentError> {
        let required = |variable| {
            lookup(variable)
                .filter(|value| !value.is_empty())
                .ok_or(TestEnvironmentError { variable })
        };
        Ok(Self {
            postgres_url: required(POSTGRES_URL_VARIABLE)?,
            nats_url: required(NATS_URL_VARIABLE)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_to_run_when_a_variable_is_missing_or_empty() {
        let error = TestServers::from_lookup(|_| None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "VEFA_TEST_POSTGRES_URL is not set: run the tests with `cargo xtask test`, which starts the servers"
        );
        let error = TestServers::from_lookup(|name| {
            Some(
                if name == NATS_URL_VARIABLE {
                    ""
                } else {
                    "postgres://somewhere"
                }
                .to_owned(),
            )
        })
        .unwrap_err();
        assert!(error.to_string().starts_with("VEFA_TEST_NATS_URL"));
    }

    #[test]
    fn prefixes_differ_and_suit_a_stream_name_and_a_subject() {
        let (one, two) = (TestServers::unique_prefix(), TestServers::unique_prefix());
        assert_ne!(one, two);
        assert!(one.len() == 13 && one.chars().all(|c| c.is_ascii_alphanumeric()));
    }
}
