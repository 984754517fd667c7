//! Fields and counts of facts as columns of the scans.

use super::super::field::{Field, Measure, Profile, Valuation};
use super::super::scan::{FACT_TABLE_ALIAS, Filter};
use super::super::statement::{Bind, NOW};
use super::super::window::{Aggregate, Facts, Range, Window};
use super::change::Slope;
use super::{Rep, Sql, Translator};

impl Translator {
    pub(super) fn field(&mut self, field: Field) -> Sql {
        match field {
            Field::Profile(field) => profile(field),
            Field::Purchases(measure) => self.measure(measure),
            Field::Returns => {
                let all = self.filter(&Window::of(Facts::Returns));
                Sql::fixed(self.count(&all), Rep::Bigint)
            }
            Field::Valuation(field) => {
                self.scans.valuation = true;
                valuation(field)
            }
        }
    }

    pub(super) fn facts(&mut self, window: &Window, aggregate: Aggregate) -> Sql {
        let filter = self.filter(window);
        match aggregate {
            Aggregate::Count => Sql::fixed(self.count(&filter), Rep::Bigint),
            Aggregate::SumMinor => Sql::fixed(self.sum(&filter), Rep::Numeric),
        }
    }

    fn measure(&mut self, measure: Measure) -> Sql {
        let all = self.filter(&Window::of(Facts::Purchases));
        let f = FACT_TABLE_ALIAS;
        match measure {
            Measure::Count => Sql::fixed(self.count(&all), Rep::Bigint),
            Measure::Days => Sql::fixed(self.days(&all), Rep::Bigint),
            Measure::Frequency => {
                let days = self.days(&all);
                Sql::fixed(format!("greatest({days} - 1, 0)"), Rep::Bigint)
            }
            Measure::RecencyDays => self.days_since(&all, "max"),
            Measure::TenureDays => self.days_since(&all, "min"),
            Measure::MonetaryMinor => Sql::fixed(self.sum(&all), Rep::Numeric),
            Measure::AverageMinor => {
                let average = self.scans.column(&all, &format!("avg({f}.amount_minor)"));
                Sql::fixed(average, Rep::Numeric)
            }
            Measure::MarginMinor => {
                let margin = self.scans.column(&all, &format!("sum({f}.margin_minor)"));
                Sql::fixed(margin, Rep::Numeric)
            }
        }
    }

    fn days(&mut self, filter: &Filter) -> String {
        let day = format!("({FACT_TABLE_ALIAS}.occurred_at at time zone 'UTC')::date");
        let days = self.scans.column(filter, &format!("count(distinct {day})"));
        format!("coalesce({days}, 0)")
    }

    fn days_since(&mut self, all: &Filter, which: &str) -> Sql {
        let moment = self
            .scans
            .column(all, &format!("{which}({FACT_TABLE_ALIAS}.occurred_at)"));
        Sql {
            text: format!("(extract(epoch from {NOW} - {moment}) * 1000000)"),
            rep: Rep::Days,
            slope: Some(Slope::per_microsecond()),
        }
    }

    fn count(&mut self, filter: &Filter) -> String {
        format!("coalesce({}, 0)", self.scans.column(filter, "count(*)"))
    }

    fn sum(&mut self, filter: &Filter) -> String {
        let sum = format!("sum({FACT_TABLE_ALIAS}.amount_minor)");
        format!("coalesce({}, 0)", self.scans.column(filter, &sum))
    }

    /// The condition that chooses a window's facts; the bounds of the window are noted, for what is due when.
    fn filter(&mut self, window: &Window) -> Filter {
        let f = FACT_TABLE_ALIAS;
        let binds = &mut self.scans.binds;
        let kind = match window.facts {
            Facts::Purchases => format!("{f}.kind = 'purchase' and "),
            Facts::Returns => format!("{f}.kind = 'return' and "),
            Facts::Touchpoints => String::new(),
        };
        let mut chosen = kind;
        if let Some(category) = &window.category {
            let category = binds.parameter(Bind::Text(category.clone()), "text");
            chosen.push_str(&format!("{category} = any({f}.categories) and "));
        }
        if let Some(channel) = &window.channel {
            let channel = binds.parameter(Bind::Text(channel.clone()), "text");
            chosen.push_str(&format!("{f}.channel = {channel} and "));
        }
        if let Some(direction) = &window.direction {
            let direction = binds.parameter(Bind::Text(direction.clone()), "text");
            chosen.push_str(&format!("{f}.direction = {direction} and "));
        }
        let mut interval = |micros: i64| binds.parameter(Bind::IntervalMicros(micros), "interval");
        let (older, newer) = match window.range {
            Range::Always => (None, None),
            Range::Within(length) => (Some((length, interval(length))), None),
            Range::Between { older, newer } => {
                (Some((older, interval(older))), Some(interval(newer)))
            }
        };
        Filter {
            touchpoints: window.facts == Facts::Touchpoints,
            chosen,
            older,
            newer,
        }
    }
}

fn profile(field: Profile) -> Sql {
    match field {
        Profile::Kind => Sql::fixed("c.kind", Rep::Text),
        Profile::Locale => Sql::fixed("c.locale", Rep::Text),
        Profile::TimeZone => Sql::fixed("c.time_zone", Rep::Text),
        Profile::Country => Sql::fixed("c.country", Rep::Text),
        Profile::RegisteredAt => Sql::fixed("c.registered_at", Rep::Timestamptz),
    }
}

fn valuation(field: Valuation) -> Sql {
    match field {
        Valuation::PAlive => Sql::fixed("v.p_alive", Rep::Float),
        Valuation::ExpectedPurchases => Sql::fixed("v.expected_purchases", Rep::Float),
        Valuation::ExpectedValueMinor => Sql::fixed("v.expected_value_minor", Rep::Float),
        Valuation::Tier => Sql::fixed("v.tier", Rep::Text),
        Valuation::RfmR => Sql::fixed("v.rfm_r::bigint", Rep::Bigint),
        Valuation::RfmF => Sql::fixed("v.rfm_f::bigint", Rep::Bigint),
        Valuation::RfmM => Sql::fixed("v.rfm_m::bigint", Rep::Bigint),
    }
}
