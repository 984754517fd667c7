//! The three layers of the configuration, and what is refused.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use service::config::{ConfigError, ServiceName};
use service::{Config, Secret};

fn environment<const N: usize>(variables: [(&str, &str); N]) -> Vec<(String, String)> {
    variables
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

fn written(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn from_file(text: &str) -> Result<Config, ConfigError> {
    let file = written(text);
    Config::from_layers(Some(file.path()), [])
}

#[test]
fn the_environment_stands_over_the_file_and_the_file_over_the_defaults() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(
        file,
        "[log]\nwriters = 3\nbatch_commands_max = 7\n[telemetry]\nformat = \"json\""
    )
    .unwrap();
    let variables = environment([
        ("VEFA__LOG__WRITERS", "5"),
        ("VEFA__DATABASE__URL__CUSTOMERS", "postgres://elsewhere/db"),
        ("VEFA__AUTH__SECRET_FILE", "/run/secret"),
        ("HOME", "/nowhere"),
        ("VEFA_CONFIG", "not ours to read here"),
    ]);
    let config = Config::from_layers(Some(file.path()), variables).unwrap();
    assert_eq!(config.log.writers, 5);
    assert_eq!(config.log.batch_commands_max, 7);
    assert_eq!(config.log.idempotency_retention_days, 30);
    assert_eq!(
        config.database.url.customers.expose(),
        "postgres://elsewhere/db"
    );
    assert_eq!(
        config.database.url.campaigns.expose(),
        Config::default().database.url.campaigns.expose()
    );
    assert_eq!(
        config.auth.secret_file.as_deref(),
        Some(Path::new("/run/secret"))
    );
}

#[test]
fn an_unknown_key_is_refused_with_its_path_and_place() {
    let error = from_file("[limits]\nstreams = 5").unwrap_err();
    let ConfigError::UnknownKey { key, origin, known } = &error else {
        panic!("{error}")
    };
    assert_eq!(key, "limits.streams");
    assert!(origin.contains("tmp"), "{origin}");
    assert!(known.contains("streams_max"), "{known}");

    let error = from_file("[limit]\nstreams_max = 5").unwrap_err();
    assert!(
        matches!(&error, ConfigError::UnknownKey { key, .. } if key == "limit"),
        "{error}"
    );

    let error = from_file("[database.url]\nbilling = \"x\"").unwrap_err();
    assert!(
        matches!(&error, ConfigError::UnknownKey { key, .. } if key == "database.url.billing"),
        "{error}"
    );
}

#[test]
fn an_unknown_variable_is_refused_too() {
    let variables = environment([("VEFA__NATS__ADDRESS", "x")]);
    let error = Config::from_layers(None, variables).unwrap_err();
    let ConfigError::UnknownKey { key, origin, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(
        (key.as_str(), origin.as_str()),
        ("nats.address", "the environment")
    );
}

#[test]
fn a_value_of_the_wrong_type_is_refused_with_its_path() {
    let error = from_file("[limits]\nstreams_max = \"many\"").unwrap_err();
    let ConfigError::Value { key, reason, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(key, "limits.streams_max");
    assert!(
        reason.contains("many") && reason.contains("u32"),
        "{reason}"
    );

    let variables = environment([("VEFA__LOG__WRITERS", "-1")]);
    let error = Config::from_layers(None, variables).unwrap_err();
    assert!(
        matches!(&error, ConfigError::Value { key, .. } if key == "log.writers"),
        "{error}"
    );

    let error = from_file("[telemetry]\nformat = \"xml\"").unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("telemetry.format") && text.contains("json"),
        "{text}"
    );
}

#[test]
fn values_without_sense_are_refused_all_at_once() {
    let error = from_file("[limits]\npage_size_default = 5000\nstreams_max = 0").unwrap_err();
    let ConfigError::Senseless(reasons) = &error else {
        panic!("{error}")
    };
    assert_eq!(reasons.len(), 2, "{reasons:?}");
}

#[test]
fn half_of_what_tls_needs_is_refused() {
    let text = "[tls]\nclient_ca_file = \"ca\"\n[peers]\nkey_file = \"key\"\n[nats]\ncertificate_file = \"crt\"";
    let ConfigError::Senseless(reasons) = from_file(text).unwrap_err() else {
        panic!("{text}")
    };
    let expected = [
        "peers.certificate_file and peers.key_file go together",
        "nats.certificate_file and nats.key_file go together",
        "tls.client_ca_file needs tls.certificate_file",
        "nats.certificate_file needs nats.ca_file",
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn a_file_that_is_asked_for_must_exist() {
    let error = Config::from_layers(Some(Path::new("no/such/file.toml")), []).unwrap_err();
    assert!(matches!(error, ConfigError::File { .. }), "{error}");
}

#[test]
fn peers_are_the_listen_addresses_unless_said_otherwise() {
    let mut config = Config::default();
    assert_eq!(
        config.peer_url(ServiceName::Customers),
        "http://127.0.0.1:7401"
    );
    config.peers.customers = Some("http://customers:80".into());
    assert_eq!(
        config.peer_url(ServiceName::Customers),
        "http://customers:80"
    );
    let addresses: BTreeSet<_> = ServiceName::ALL
        .iter()
        .map(|service| config.listen.of(*service))
        .collect();
    assert_eq!(addresses.len(), 4);
}

#[test]
fn a_password_is_not_shown() {
    let mut config = Config::default();
    config.database.url.customers = "postgres://u:hunter2@h/db".to_owned().into();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_secret_must_be_there_and_long_enough() {
    let config = Config::default();
    let text = |result: Result<Secret, _>| match result {
        Ok(_) => panic!("no secret was expected"),
        Err(error) => service::status::chain(&error),
    };
    assert_eq!(
        text(Secret::from_config(&config.auth)),
        "auth.secret_file is not set"
    );
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{}", "s".repeat(31)).unwrap();
    let error = text(Secret::read(file.path()));
    assert_eq!(error, "the token secret has 31 bytes; it needs 32");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{}", "s".repeat(32)).unwrap();
    assert!(Secret::read(file.path()).is_ok());
}

#[test]
fn a_password_in_a_file_stands_in_the_url_as_it_is() {
    let file = written("p@ss/word:%\n");
    let variables = environment([
        (
            "VEFA__DATABASE__URL__CUSTOMERS",
            "postgres://u@h:5433/db?x=y",
        ),
        (
            "VEFA__DATABASE__PASSWORD_FILE__CUSTOMERS",
            file.path().to_str().unwrap(),
        ),
    ]);
    let config = Config::from_layers(None, variables).unwrap();
    let url = config.database.url.customers.expose();
    assert_eq!(url, "postgres://u:p%40ss%2Fword%3A%25@h:5433/db?x=y");
    let untouched = Config::default().database.url.campaigns;
    assert_eq!(
        config.database.url.campaigns.expose(),
        untouched.expose(),
        "what has no file is left alone"
    );
}

#[test]
fn a_password_that_cannot_be_used_is_refused_and_not_shown() {
    let refused = |url: &str, password: &str| {
        let file = written(password);
        let variables = environment([
            ("VEFA__DATABASE__URL__CAMPAIGNS", url),
            (
                "VEFA__DATABASE__PASSWORD_FILE__CAMPAIGNS",
                file.path().to_str().unwrap(),
            ),
        ]);
        let text = Config::from_layers(None, variables)
            .unwrap_err()
            .to_string();
        assert!(!text.contains("hunter2"), "{text}");
        let key = "database.url.campaigns, with database.password_file.campaigns: ";
        text.strip_prefix(key).expect(&text).to_owned()
    };
    assert_eq!(
        refused("postgres://u:hunter2@h/db", "hunter2"),
        "the URL has a password already"
    );
    assert_eq!(
        refused("postgres://h/db", "hunter2"),
        "the URL names no user"
    );
    assert_eq!(refused("postgres://u@h/db", " \n"), "the file is empty");
    assert_eq!(
        refused("hunter2", "hunter2"),
        "the URL cannot be read: relative URL without a base"
    );

    let missing = from_file("[database.password_file]\ncustomers = \"no/such/file\"").unwrap_err();
    let ConfigError::Password { key, path, .. } = &missing else {
        panic!("{missing}")
    };
    assert_eq!(key, "database.password_file.customers");
    assert_eq!(path, Path::new("no/such/file"));
}

#[test]
fn a_user_of_nats_needs_a_password_and_no_credentials_beside_it() {
    let reasons = |text: &str| {
        let error = from_file(text).unwrap_err();
        let ConfigError::Senseless(reasons) = error else {
            panic!("{error}")
        };
        reasons
    };
    let alone = "nats.user and nats.password_file go together";
    assert_eq!(reasons("[nats]\nuser = \"vefa\""), [alone]);
    assert_eq!(reasons("[nats]\npassword_file = \"/x\""), [alone]);
    assert_eq!(
        reasons("[nats]\nuser = \"u\"\npassword_file = \"/x\"\ncredentials_file = \"/y\""),
        ["nats.user and nats.credentials_file exclude each other"]
    );
}
