//! An endpoint as it is configured, with everything read and understood.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use aggregate::{InvalidId, TenantId};
use event_json::{EventTypes, UnknownType};
use http::{Uri, uri::InvalidUri};
use service::{ServiceName, config::webhooks};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::signature::{InvalidSecret, Secret};

/// A receiver.
pub(crate) struct Endpoint {
    /// As in the names of projections, which live as long as the process.
    pub(crate) name: &'static str,
    pub(crate) tenant: TenantId,
    pub(crate) url: Uri,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) from: From,
    /// Whose events can be wanted.
    pub(crate) services: Vec<ServiceName>,
    /// Full names; all types when it is empty.
    pub(crate) types: BTreeSet<String>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) timeout: Duration,
    pub(crate) in_flight_max: usize,
}

/// From where in history on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Start,
    Now,
    Moment(OffsetDateTime),
}

/// An endpoint that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("webhooks.endpoints {name:?}")]
pub struct InvalidEndpoint {
    name: String,
    #[source]
    reason: Reason,
}

/// Why.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Reason {
    #[error("tenant")]
    Tenant(#[from] InvalidId),
    #[error("url")]
    Url(#[from] InvalidUri),
    #[error("cannot read the secret {}", path.display())]
    SecretFile {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the secret in {}", path.display())]
    Secret {
        path: PathBuf,
        #[source]
        source: InvalidSecret,
    },
    #[error("from is not \"start\", \"now\" or a moment such as 2026-01-31T00:00:00Z")]
    From,
    #[error("there is no service {0}")]
    Service(String),
    #[error("types")]
    Type(#[from] UnknownType),
    #[error("there is no event type {0}")]
    FullType(String),
    #[error("no service has any of these types")]
    Nothing,
}

impl Endpoint {
    /// Reads the secrets that it names.
    ///
    /// # Errors
    /// When something of it cannot be read, or makes no sense.
    pub(crate) fn read(
        config: &webhooks::Endpoint,
        types: &EventTypes,
    ) -> Result<Self, InvalidEndpoint> {
        Self::try_read(config, types).map_err(|reason| InvalidEndpoint {
            name: config.name.clone(),
            reason,
        })
    }

    fn try_read(config: &webhooks::Endpoint, known: &EventTypes) -> Result<Self, Reason> {
        let mut types = BTreeSet::new();
        for name in &config.types {
            let full = known.full_name(name)?;
            // A name with a dot is not looked up, and one with a typing error would never come.
            if known.find(&full).is_none() {
                return Err(Reason::FullType(full));
            }
            types.insert(full);
        }
        let secrets = config.secret_files.iter().map(|path| secret(path));
        Ok(Self {
            name: config.name.clone().leak(),
            tenant: TenantId::parse(&config.tenant)?,
            url: config.url.parse()?,
            secrets: secrets.collect::<Result<_, _>>()?,
            from: From::parse(&config.from)?,
            services: services(&config.services, &types)?,
            types,
            ca_file: config.ca_file.clone(),
            timeout: Duration::from_millis(config.timeout_ms),
            in_flight_max: usize::try_from(config.in_flight_max).unwrap_or(usize::MAX),
        })
    }
}

impl From {
    fn parse(text: &str) -> Result<Self, Reason> {
        match text {
            "start" => Ok(Self::Start),
            "now" => Ok(Self::Now),
            moment => OffsetDateTime::parse(moment, &Rfc3339)
                .map(Self::Moment)
                .map_err(|_| Reason::From),
        }
    }
}

fn secret(path: &Path) -> Result<Secret, Reason> {
    let text = std::fs::read_to_string(path).map_err(|source| Reason::SecretFile {
        path: path.to_owned(),
        source,
    })?;
    Secret::parse(&text).map_err(|source| Reason::Secret {
        path: path.to_owned(),
        source,
    })
}

/// Those that are named and have one of the types, in the order of the installation.
fn services(names: &[String], types: &BTreeSet<String>) -> Result<Vec<ServiceName>, Reason> {
    let known = |name: &String| ServiceName::ALL.iter().any(|one| one.as_str() == *name);
    if let Some(name) = names.iter().find(|name| !known(name)) {
        return Err(Reason::Service(name.clone()));
    }
    let wanted = |service: &ServiceName| {
        let package = format!("vefa.{service}.");
        (names.is_empty() || names.iter().any(|name| name == service.as_str()))
            && (types.is_empty() || types.iter().any(|name| name.starts_with(&package)))
    };
    let services: Vec<_> = ServiceName::ALL.into_iter().filter(wanted).collect();
    if services.is_empty() {
        return Err(Reason::Nothing);
    }
    Ok(services)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services_of(names: &[&str], types: &[&str]) -> Result<Vec<ServiceName>, Reason> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        services(
            &names,
            &types.iter().map(|name| (*name).to_owned()).collect(),
        )
    }

    #[test]
    fn only_services_that_can_have_what_is_wanted_are_followed() {
        assert_eq!(services_of(&[], &[]).unwrap(), ServiceName::ALL);
        let purchases = ["vefa.interactions.v1.PurchaseRecorded"];
        let followed = services_of(&[], &purchases).unwrap();
        assert_eq!(followed, [ServiceName::Interactions]);
        assert!(matches!(
            services_of(&["customers"], &purchases),
            Err(Reason::Nothing)
        ));
        assert!(matches!(
            services_of(&["custmers"], &[]),
            Err(Reason::Service(_))
        ));
    }

    #[test]
    fn history_begins_where_it_is_said() {
        assert_eq!(From::parse("start").unwrap(), From::Start);
        assert_eq!(From::parse("now").unwrap(), From::Now);
        assert!(matches!(
            From::parse("2026-01-31T00:00:00Z").unwrap(),
            From::Moment(_)
        ));
        assert!(From::parse("yesterday").is_err());
    }
}
