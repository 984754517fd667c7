//! How likely it is that two customers are one: each comparison adds its weight of evidence.
//!
//! Fellegi and Sunter, "A theory for record linkage", JASA 64, 1969: a comparison that comes out so for a share `m` of the pairs that are one
//! customer, and for a share `u` of all others, weighs log2(m / u). Names are compared in levels by Jaro-Winkler similarity (Winkler 1990, table of
//! agreement levels). The more customers bear a name, the less it says: that is taken from the weight (Winkler, "Frequency-based matching in
//! Fellegi-Sunter model of record linkage", 2000). The shares are estimates, not fitted to any data.

use strsim::jaro_winkler;

use super::{NameWords, sound};
use crate::domain::{
    address::Addresses,
    person::BirthDate,
    place::Country,
    profile::{Kind, Profile},
};

/// Odds that two customers who were picked out for comparison are one, before they are compared, in bits: one of a thousand.
const PRIOR_BITS: f64 = -10.0;
/// From this similarity on two names are nearly the same (Winkler 1990 takes 0.88 to 0.94, depending on the field).
const SIMILAR_MIN: f64 = 0.90;
/// An address is longer than a name, and much of it stands in every address of a town.
const ADDRESS_SIMILAR_MIN: f64 = 0.93;
/// How alike a date and the same one mistyped are said to be.
const NEARLY_A_DATE: f64 = 0.9;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compared {
    /// Given names.
    GivenName,
    /// Family names.
    FamilyName,
    /// Registered names.
    LegalName,
    /// Countries.
    Country,
    /// Dates of birth.
    BirthDate,
    /// Postal addresses, the two that agree best.
    Addresses,
    /// Identifiers, loosely.
    Identifiers,
}

/// How far two values agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agreement {
    /// They are the same, but for case and accents.
    Same,
    /// They are nearly the same.
    Similar,
    /// They sound the same.
    SoundsAlike,
    /// They are others.
    Different,
}

/// One reason for or against.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reason {
    /// What was compared.
    pub(crate) compared: Compared,
    /// How it came out.
    pub(crate) agreement: Agreement,
    /// How alike the two are, from 0 to 1.
    pub(crate) similarity: f64,
    /// What it weighs, in bits; below zero it speaks against.
    pub(crate) weight_bits: f64,
}

/// What is compared of a customer.
#[derive(Clone, Debug)]
pub(crate) struct Party {
    kind: Kind,
    given: NameWords,
    family: NameWords,
    legal: NameWords,
    country: Option<String>,
    birth_date: Option<BirthDate>,
    addresses: Vec<(Country, NameWords)>,
}

/// How likely it is that two are one, and why.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Likeness {
    /// From 0 to 1.
    pub(crate) score: f64,
    /// Those with the most weight first.
    pub(crate) reasons: Vec<Reason>,
}

impl Party {
    /// What is compared of a customer with this profile.
    #[must_use]
    pub(crate) fn new(kind: Kind, profile: &Profile) -> Self {
        Self {
            kind,
            given: NameWords::of_name(profile.given_name.as_ref()),
            family: NameWords::of_name(profile.family_name.as_ref()),
            legal: NameWords::of_name(profile.legal_name.as_ref()),
            country: profile
                .country
                .as_ref()
                .map(|country| country.as_str().to_owned()),
            birth_date: profile.birth_date,
            addresses: profile
                .addresses
                .iter()
                .flat_map(Addresses::as_slice)
                .map(|address| {
                    (
                        address.country.clone(),
                        NameWords::of_names(address.parts()),
                    )
                })
                .collect(),
        }
    }

    /// Whether the two have the same names throughout.
    #[must_use]
    pub(crate) fn same_names(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.given == other.given
            && self.family == other.family
            && self.legal == other.legal
    }

    /// How likely it is that the other is the same customer; none when it cannot be: a person is no business. `namesakes` are the
    /// customers, the other among them, whose names are all the same as this one's.
    #[must_use]
    pub(crate) fn likeness(
        &self,
        other: &Self,
        shares_identifier: bool,
        namesakes: usize,
    ) -> Option<Likeness> {
        if self.kind != other.kind {
            return None;
        }
        let mut reasons = self.names(other);
        if self.same_names(other) {
            dilute(&mut reasons, namesakes);
        }
        if let (Some(one), Some(two)) = (&self.country, &other.country) {
            let (agreement, weight_bits) = if one == two {
                (Agreement::Same, weight(0.95, 0.6))
            } else {
                (Agreement::Different, weight(0.05, 0.4))
            };
            reasons.push(Reason {
                compared: Compared::Country,
                agreement,
                similarity: f64::from(u8::from(one == two)),
                weight_bits,
            });
        }
        reasons.extend(self.birth_dates(other));
        reasons.extend(self.addresses(other));
        if shares_identifier {
            reasons.push(Reason {
                compared: Compared::Identifiers,
                agreement: Agreement::Same,
                similarity: 1.0,
                weight_bits: weight(0.3, 0.000_01),
            });
        }
        reasons.sort_by(|one, two| two.weight_bits.total_cmp(&one.weight_bits));
        let bits: f64 = PRIOR_BITS + reasons.iter().map(|reason| reason.weight_bits).sum::<f64>();
        Some(Likeness {
            score: 1.0 / (1.0 + (-bits).exp2()),
            reasons,
        })
    }

    fn birth_dates(&self, other: &Self) -> Option<Reason> {
        let (one, two) = (self.birth_date?, other.birth_date?);
        let (agreement, similarity, weight_bits) = if one == two {
            (Agreement::Same, 1.0, weight(0.95, 0.000_05))
        } else if one.is_nearly(two) {
            (Agreement::Similar, NEARLY_A_DATE, weight(0.04, 0.005))
        } else {
            (Agreement::Different, 0.0, weight(0.01, 0.994_95))
        };
        Some(Reason {
            compared: Compared::BirthDate,
            agreement,
            similarity,
            weight_bits,
        })
    }

    /// Who moves has another address, and who lives together the same: neither says as much as a name.
    fn addresses(&self, other: &Self) -> Option<Reason> {
        let pairs = self.addresses.iter().flat_map(|one| {
            let others = other.addresses.iter();
            others.map(move |two| (one, two))
        });
        let alike = pairs.map(|((here, one), (there, two))| {
            if here == there {
                jaro_winkler(&one.joined(), &two.joined())
            } else {
                0.0
            }
        });
        let similarity = alike.max_by(f64::total_cmp)?;
        let (agreement, weight_bits) = if similarity >= 1.0 {
            (Agreement::Same, weight(0.5, 0.001))
        } else if similarity >= ADDRESS_SIMILAR_MIN {
            (Agreement::Similar, weight(0.2, 0.004))
        } else {
            (Agreement::Different, weight(0.3, 0.995))
        };
        Some(Reason {
            compared: Compared::Addresses,
            agreement,
            similarity,
            weight_bits,
        })
    }

    /// Given and family name as they stand, or exchanged where that agrees better: forms are filled in either way.
    fn names(&self, other: &Self) -> Vec<Reason> {
        let straight = [
            name(Compared::GivenName, GIVEN_NAMES, &self.given, &other.given),
            name(
                Compared::FamilyName,
                FAMILY_NAMES,
                &self.family,
                &other.family,
            ),
        ];
        let exchanged = [
            name(Compared::GivenName, GIVEN_NAMES, &self.given, &other.family),
            name(
                Compared::FamilyName,
                FAMILY_NAMES,
                &self.family,
                &other.given,
            ),
        ];
        let bits = |reasons: &[Option<Reason>; 2]| -> f64 {
            reasons
                .iter()
                .flatten()
                .map(|reason| reason.weight_bits)
                .sum()
        };
        let better = if bits(&exchanged) > bits(&straight) {
            exchanged
        } else {
            straight
        };
        let legal = name(Compared::LegalName, LEGAL_NAMES, &self.legal, &other.legal);
        better.into_iter().chain([legal]).flatten().collect()
    }
}

/// The shares `m` and `u` of a level of agreement, in this order.
type Shares = (f64, f64);

/// Same, alike, different.
type Levels = [Shares; 3];

const GIVEN_NAMES: Levels = [(0.80, 0.01), (0.15, 0.01), (0.05, 0.98)];
const FAMILY_NAMES: Levels = [(0.80, 0.004), (0.15, 0.006), (0.05, 0.99)];
const LEGAL_NAMES: Levels = [(0.70, 0.000_1), (0.25, 0.001), (0.05, 0.998_9)];

fn weight(m: f64, u: f64) -> f64 {
    (m / u).log2()
}

/// Compares two names; what one of the two does not have says nothing.
fn name(
    compared: Compared,
    [same, alike, different]: Levels,
    one: &NameWords,
    two: &NameWords,
) -> Option<Reason> {
    if one.as_slice().is_empty() || two.as_slice().is_empty() {
        return None;
    }
    let similarity = jaro_winkler(&one.joined(), &two.joined());
    let (agreement, (m, u)) = if one == two {
        (Agreement::Same, same)
    } else if similarity >= SIMILAR_MIN {
        (Agreement::Similar, alike)
    } else if sounds_alike(one, two) {
        (Agreement::SoundsAlike, alike)
    } else {
        (Agreement::Different, different)
    };
    Some(Reason {
        compared,
        agreement,
        similarity,
        weight_bits: weight(m, u),
    })
}

fn sounds_alike(one: &NameWords, two: &NameWords) -> bool {
    let sounds = |words: &NameWords| -> Vec<String> {
        words.as_slice().iter().map(|word| sound(word)).collect()
    };
    let (one, two) = (sounds(one), sounds(two));
    // A single sound is too little: Ali and Ela, Can and Kaan.
    one == two && one.iter().any(|sound| sound.chars().count() > 2)
}

/// Takes from the weight of the names what it loses by others who have them too.
fn dilute(reasons: &mut [Reason], namesakes: usize) {
    let others = u32::try_from(namesakes.max(1)).unwrap_or(u32::MAX);
    let lost = f64::from(others).log2() / reasons.len().max(1) as f64;
    for reason in reasons {
        reason.weight_bits -= lost;
    }
}

#[cfg(test)]
mod tests;
