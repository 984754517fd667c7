//! The fields that a rule can name, with their types. A field that is not here is refused.

use super::expr::Type;

/// The two things that have fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Customer,
    Measures,
}

impl Owner {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Measures => "measures",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Customer, Self::Measures]
            .into_iter()
            .find(|owner| owner.name() == name)
    }

    fn fields(self) -> &'static [Declared] {
        match self {
            Self::Customer => &CUSTOMER,
            Self::Measures => &MEASURES,
        }
    }

    /// The names of the owner's fields, for a message.
    pub(super) fn field_names(self) -> String {
        let names: Vec<&str> = self.fields().iter().map(|(_, name, _)| *name).collect();
        names.join(", ")
    }

    pub(super) fn field(self, name: &str) -> Option<(Field, Type)> {
        self.fields()
            .iter()
            .find(|(_, field, _)| *field == name)
            .map(|(field, _, ty)| (*field, *ty))
    }
}

/// A field, by where its value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Profile(Profile),
    Purchases(Measure),
    Returns,
    Valuation(Valuation),
}

/// What the profile says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Profile {
    Kind,
    Locale,
    TimeZone,
    Country,
    RegisteredAt,
}

/// What all purchases together give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    Count,
    Days,
    Frequency,
    RecencyDays,
    TenureDays,
    MonetaryMinor,
    AverageMinor,
    MarginMinor,
}

/// What the newest valuation says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Valuation {
    PAlive,
    ExpectedPurchases,
    ExpectedValueMinor,
    Tier,
    RfmR,
    RfmF,
    RfmM,
}

type Declared = (Field, &'static str, Type);

const CUSTOMER: [Declared; 5] = [
    (Field::Profile(Profile::Kind), "kind", Type::String),
    (Field::Profile(Profile::Locale), "locale", Type::String),
    (Field::Profile(Profile::TimeZone), "time_zone", Type::String),
    (Field::Profile(Profile::Country), "country", Type::String),
    (
        Field::Profile(Profile::RegisteredAt),
        "registered_at",
        Type::Timestamp,
    ),
];

const MEASURES: [Declared; 16] = [
    (Field::Purchases(Measure::Count), "purchases", Type::Int),
    (Field::Purchases(Measure::Days), "purchase_days", Type::Int),
    (Field::Purchases(Measure::Frequency), "frequency", Type::Int),
    (
        Field::Purchases(Measure::RecencyDays),
        "recency_days",
        Type::Double,
    ),
    (
        Field::Purchases(Measure::TenureDays),
        "tenure_days",
        Type::Double,
    ),
    (
        Field::Purchases(Measure::MonetaryMinor),
        "monetary_minor",
        Type::Int,
    ),
    (
        Field::Purchases(Measure::AverageMinor),
        "average_minor",
        Type::Double,
    ),
    (
        Field::Purchases(Measure::MarginMinor),
        "margin_minor",
        Type::Int,
    ),
    (Field::Returns, "returns", Type::Int),
    (Field::Valuation(Valuation::PAlive), "p_alive", Type::Double),
    (
        Field::Valuation(Valuation::ExpectedPurchases),
        "expected_purchases",
        Type::Double,
    ),
    (
        Field::Valuation(Valuation::ExpectedValueMinor),
        "expected_value_minor",
        Type::Double,
    ),
    (Field::Valuation(Valuation::Tier), "tier", Type::String),
    (Field::Valuation(Valuation::RfmR), "rfm_r", Type::Int),
    (Field::Valuation(Valuation::RfmF), "rfm_f", Type::Int),
    (Field::Valuation(Valuation::RfmM), "rfm_m", Type::Int),
];

impl Field {
    /// Whether the value moves with `now`.
    pub(super) fn varies(self) -> bool {
        matches!(
            self,
            Self::Purchases(Measure::RecencyDays | Measure::TenureDays)
        )
    }

    /// All that the field can be, where that is known beforehand: a typing mistake in such a value would
    /// otherwise make a segment that stays empty without a word.
    pub(super) fn values(self) -> Option<&'static [&'static str]> {
        (self == Self::Profile(Profile::Kind)).then_some(&["person", "business"])
    }
}
