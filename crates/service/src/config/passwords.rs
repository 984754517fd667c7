//! Passwords that stand in files of their own, put into the URLs that need them.

use std::path::PathBuf;

use url::Url;

use super::{ConfigError, Database, SecretUrl, ServiceName, Webhooks};

/// Reads the files that are named. White space at the end of a password does not count.
pub(super) fn put(database: &mut Database) -> Result<(), ConfigError> {
    for service in ServiceName::ALL {
        let Some(path) = database.password_file.of(service).clone() else {
            continue;
        };
        let key = format!("database.password_file.{service}");
        let of = format!("database.url.{service}");
        put_one(database.url.of_mut(service), of, path, key)?;
    }
    Ok(())
}

/// The same for the database of webhooks.
pub(super) fn put_webhooks(webhooks: &mut Webhooks) -> Result<(), ConfigError> {
    let Some(path) = webhooks.database_password_file.clone() else {
        return Ok(());
    };
    let key = "webhooks.database_password_file".to_owned();
    let of = "webhooks.database_url".to_owned();
    put_one(&mut webhooks.database_url, of, path, key)
}

fn put_one(url: &mut SecretUrl, of: String, path: PathBuf, key: String) -> Result<(), ConfigError> {
    let password = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(source) => return Err(ConfigError::Password { key, path, source }),
    };
    let with_password = with_password(url.expose(), password.trim_end());
    *url = with_password.map_err(|reason| {
        // The URL itself is not shown: it may hold a password.
        ConfigError::Senseless(vec![format!("{of}, with {key}: {reason}")])
    })?;
    Ok(())
}

fn with_password(url: &str, password: &str) -> Result<super::SecretUrl, String> {
    let mut url = Url::parse(url).map_err(|error| format!("the URL cannot be read: {error}"))?;
    if password.is_empty() {
        return Err("the file is empty".to_owned());
    }
    if url.password().is_some() {
        return Err("the URL has a password already".to_owned());
    }
    if url.username().is_empty() {
        return Err("the URL names no user".to_owned());
    }
    // The one character that it leaves alone, and whoever reads the URL does not.
    url.set_password(Some(&password.replace('%', "%25")))
        .map_err(|()| "the URL names no host".to_owned())?;
    Ok(String::from(url).into())
}
