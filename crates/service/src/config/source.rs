//! The environment as a layer, and figment's errors in our words.

use figment::error::Kind;
use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

use super::ConfigError;

const PREFIX: &str = "VEFA__";
const SEPARATOR: &str = "__";

/// Variables such as `VEFA__NATS__URL`; all others are left alone.
pub(super) struct Environment(Vec<(String, String)>);

impl Environment {
    pub(super) fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let ours = variables.into_iter().filter_map(|(name, value)| {
            let key = name
                .strip_prefix(PREFIX)?
                .to_lowercase()
                .replace(SEPARATOR, ".");
            Some((key, value))
        });
        Self(ours.collect())
    }
}

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named("the environment")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut merged = Dict::new();
        for (key, text) in &self.0 {
            let Ok(value) = text.parse::<Value>();
            if let Value::Dict(_, nested) = figment::util::nest(key, value) {
                merge(&mut merged, nested);
            }
        }
        Ok(Profile::Default.collect(merged))
    }
}

fn merge(into: &mut Dict, from: Dict) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Dict(_, old)), Value::Dict(_, new)) => merge(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// The first thing that is wrong, with its whole key and where it stands.
pub(super) fn explain(error: figment::Error) -> ConfigError {
    let origin = error.metadata.as_ref().map_or_else(
        || "the configuration".to_owned(),
        |metadata| match &metadata.source {
            Some(source) => source.to_string(),
            None => metadata.name.to_string(),
        },
    );
    let mut path = error.path.clone();
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "figment words all other kinds well"
    )]
    match &error.kind {
        Kind::UnknownField(field, known) => {
            if path.last() != Some(field) {
                path.push(field.clone());
            }
            ConfigError::UnknownKey {
                key: path.join("."),
                origin,
                known: known.join(", "),
            }
        }
        kind => ConfigError::Value {
            key: path.join("."),
            origin,
            reason: kind.to_string(),
        },
    }
}
