//! What a kept customer has to do with mergers.

use std::collections::BTreeMap;

use aggregate::CustomerId;
use uuid::Uuid;

use super::{KeptProfile, uuid};
use crate::domain::{
    Name,
    identifier::ClaimId,
    merger::{Absorbed, Mergers, ProfileLayers},
    place::{Country, Locale, TimeZone},
    profile::{Change, ProfileChange},
    relation::RelationId,
};

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct KeptMergers {
    #[prost(bytes = "vec", optional, tag = "1")]
    survivor: Option<Vec<u8>>,
    #[prost(message, repeated, tag = "2")]
    absorbed: Vec<KeptAbsorbed>,
    #[prost(message, optional, tag = "3")]
    base: Option<KeptProfile>,
    #[prost(message, repeated, tag = "4")]
    layers: Vec<KeptLayer>,
    #[prost(message, repeated, tag = "5")]
    identifiers: Vec<KeptOriginal>,
    #[prost(message, repeated, tag = "6")]
    relations: Vec<KeptOriginal>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeptAbsorbed {
    #[prost(bytes = "vec", tag = "1")]
    customer: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    also: Vec<Vec<u8>>,
}

/// Of which customer something came.
#[derive(Clone, PartialEq, prost::Message)]
struct KeptOriginal {
    #[prost(bytes = "vec", tag = "1")]
    of: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    original: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeptLayer {
    #[prost(bytes = "vec", optional, tag = "1")]
    original: Option<Vec<u8>>,
    #[prost(message, required, tag = "2")]
    change: KeptProfileChange,
}

/// Fields that are absent did not change; empty ones were cleared.
#[derive(Clone, PartialEq, prost::Message)]
struct KeptProfileChange {
    #[prost(string, optional, tag = "1")]
    given_name: Option<String>,
    #[prost(string, optional, tag = "2")]
    family_name: Option<String>,
    #[prost(string, optional, tag = "3")]
    legal_name: Option<String>,
    #[prost(string, optional, tag = "4")]
    locale: Option<String>,
    #[prost(string, optional, tag = "5")]
    time_zone: Option<String>,
    #[prost(string, optional, tag = "6")]
    country: Option<String>,
}

impl From<&Mergers> for KeptMergers {
    fn from(mergers: &Mergers) -> Self {
        let Mergers {
            survivor,
            absorbed,
            profile,
            identifiers,
            relations,
        } = mergers;
        let profile = profile.as_ref();
        Self {
            survivor: survivor.map(|survivor| survivor.0.into()),
            absorbed: absorbed.iter().map(Into::into).collect(),
            base: profile.map(|layers| (&layers.base).into()),
            layers: profile
                .into_iter()
                .flat_map(|layers| &layers.layers)
                .map(|(original, change)| KeptLayer {
                    original: original.map(|original| original.0.into()),
                    change: change.into(),
                })
                .collect(),
            identifiers: originals(identifiers.iter().map(|(claim, one)| (claim.0, one))),
            relations: originals(relations.iter().map(|(relation, one)| (relation.0, one))),
        }
    }
}

fn originals<'a>(of: impl Iterator<Item = (Uuid, &'a CustomerId)>) -> Vec<KeptOriginal> {
    of.map(|(of, original)| KeptOriginal {
        of: of.into(),
        original: original.0.into(),
    })
    .collect()
}

impl KeptMergers {
    pub(super) fn mergers(self) -> Option<Mergers> {
        let layers = self
            .layers
            .into_iter()
            .map(|layer| Some((customer_or_none(layer.original)?, layer.change.change())))
            .collect::<Option<_>>()?;
        Some(Mergers {
            survivor: customer_or_none(self.survivor)?,
            absorbed: self
                .absorbed
                .into_iter()
                .map(KeptAbsorbed::absorbed)
                .collect::<Option<_>>()?,
            profile: self.base.map(|base| ProfileLayers {
                base: base.profile(),
                layers,
            }),
            identifiers: read(self.identifiers, ClaimId)?,
            relations: read(self.relations, RelationId)?,
        })
    }
}

fn read<K: Ord>(
    kept: Vec<KeptOriginal>,
    key: impl Fn(Uuid) -> K,
) -> Option<BTreeMap<K, CustomerId>> {
    kept.into_iter()
        .map(|kept| Some((key(uuid(&kept.of)?), CustomerId(uuid(&kept.original)?))))
        .collect()
}

/// None within when there was none; none at all when it is no id.
#[expect(
    clippy::option_option,
    reason = "what may be missing can also be unreadable"
)]
fn customer_or_none(kept: Option<Vec<u8>>) -> Option<Option<CustomerId>> {
    match kept {
        None => Some(None),
        Some(bytes) => Some(Some(CustomerId(uuid(&bytes)?))),
    }
}

impl From<&Absorbed> for KeptAbsorbed {
    fn from(absorbed: &Absorbed) -> Self {
        Self {
            customer: absorbed.customer.0.into(),
            also: absorbed.also.iter().map(|also| also.0.into()).collect(),
        }
    }
}

impl KeptAbsorbed {
    fn absorbed(self) -> Option<Absorbed> {
        Some(Absorbed {
            customer: CustomerId(uuid(&self.customer)?),
            also: self
                .also
                .iter()
                .map(|also| uuid(also).map(CustomerId))
                .collect::<Option<_>>()?,
        })
    }
}

impl From<&ProfileChange> for KeptProfileChange {
    fn from(change: &ProfileChange) -> Self {
        fn kept<T>(change: &Change<T>, as_str: impl FnOnce(&T) -> &str) -> Option<String> {
            match change {
                Change::Keep => None,
                Change::Set(value) => Some(value.as_ref().map_or("", as_str).to_owned()),
            }
        }
        Self {
            given_name: kept(&change.given_name, Name::as_str),
            family_name: kept(&change.family_name, Name::as_str),
            legal_name: kept(&change.legal_name, Name::as_str),
            locale: kept(&change.locale, Locale::as_str),
            time_zone: kept(&change.time_zone, TimeZone::as_str),
            country: kept(&change.country, Country::as_str),
        }
    }
}

impl KeptProfileChange {
    fn change(self) -> ProfileChange {
        fn change<T>(kept: Option<String>, from_stored: impl FnOnce(String) -> T) -> Change<T> {
            match kept {
                None => Change::Keep,
                Some(text) => Change::Set((!text.is_empty()).then(|| from_stored(text))),
            }
        }
        ProfileChange {
            given_name: change(self.given_name, Name::from_stored),
            family_name: change(self.family_name, Name::from_stored),
            legal_name: change(self.legal_name, Name::from_stored),
            locale: change(self.locale, Locale::from_stored),
            time_zone: change(self.time_zone, TimeZone::from_stored),
            country: change(self.country, Country::from_stored),
        }
    }
}
