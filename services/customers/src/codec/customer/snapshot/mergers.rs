//! What a kept customer has to do with mergers.

use std::collections::BTreeMap;

use aggregate::CustomerId;
use contracts::customers::v1 as pb;
use uuid::Uuid;

use super::{super::profile, kept_profile, read_profile, uuid};
use crate::domain::{
    identifier::ClaimId,
    merger::{Absorbed, Mergers, ProfileLayers},
    relation::RelationId,
};

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct KeptMergers {
    #[prost(bytes = "vec", optional, tag = "1")]
    survivor: Option<Vec<u8>>,
    #[prost(message, repeated, tag = "2")]
    absorbed: Vec<KeptAbsorbed>,
    #[prost(message, optional, tag = "3")]
    base: Option<pb::ProfileUpdated>,
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
    change: pb::ProfileUpdated,
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
        let layers = profile.as_ref();
        Self {
            survivor: survivor.map(|survivor| survivor.0.into()),
            absorbed: absorbed.iter().map(Into::into).collect(),
            base: layers.map(|layers| kept_profile(&layers.base)),
            layers: layers
                .into_iter()
                .flat_map(|layers| &layers.layers)
                .map(|(original, change)| KeptLayer {
                    original: original.map(|original| original.0.into()),
                    change: profile::kept(change),
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
            .map(|layer| {
                let change = profile::read_kept(layer.change).ok()?;
                Some((customer_or_none(layer.original)?, change))
            })
            .collect::<Option<_>>()?;
        Some(Mergers {
            survivor: customer_or_none(self.survivor)?,
            absorbed: self
                .absorbed
                .into_iter()
                .map(KeptAbsorbed::absorbed)
                .collect::<Option<_>>()?,
            profile: match self.base {
                None => None,
                Some(base) => Some(ProfileLayers {
                    base: read_profile(base)?,
                    layers,
                }),
            },
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
