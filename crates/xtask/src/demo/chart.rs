//! The report's charts, drawn as SVG. Colours and type are in `report.css`; each series also has a shape of
//! its own, so that nothing is told by colour alone.

use contracts::segmentation::v1::ValidationGroup;
use maud::{Markup, html};

use super::format;
use super::report::Outcome;

const WIDTH: f64 = 760.0;

/// A straight scale from values to places on paper.
#[derive(Debug, Clone, Copy)]
struct Scale {
    from: (f64, f64),
    to: (f64, f64),
}

impl Scale {
    fn at(&self, value: f64) -> f64 {
        let share = (value - self.from.0) / (self.from.1 - self.from.0);
        self.to.0 + share * (self.to.1 - self.to.0)
    }
}

/// Distance between ticks so that about `count` of them fill `range`: 1, 2 or 5 times a power of ten.
fn tick_step(range: f64, count: f64) -> f64 {
    let raw = range / count;
    let power = 10_f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|f| f * power >= raw);
    factor.unwrap_or(10.0) * power
}

fn ticks(from: f64, to: f64, count: f64) -> Vec<f64> {
    let step = tick_step(to - from, count);
    let first = (from / step).ceil() as i64;
    let last = (to / step).floor() as i64;
    (first..=last).map(|n| n as f64 * step).collect()
}

fn px(place: f64) -> String {
    format!("{place:.1}")
}

/// The models' marks, in the order in which they stand in a group.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mark {
    Bg,
    Mbg,
    Pareto,
}

impl Mark {
    pub(crate) const ALL: [Self; 3] = [Self::Bg, Self::Mbg, Self::Pareto];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bg => "BG/NBD",
            Self::Mbg => "MBG/NBD",
            Self::Pareto => "Pareto/NBD",
        }
    }

    fn predicted(self, group: &ValidationGroup) -> f64 {
        match self {
            Self::Bg => group.predicted_bg_nbd,
            Self::Mbg => group.predicted_mbg_nbd,
            Self::Pareto => group.predicted_pareto_nbd,
        }
    }

    fn draw(self, x: f64, y: f64) -> Markup {
        match self {
            Self::Bg => html! { circle class="mark bg" cx=(px(x)) cy=(px(y)) r="5.5" {} },
            Self::Mbg => html! {
                rect class="mark mbg" x=(px(x - 5.0)) y=(px(y - 5.0)) width="10" height="10" {}
            },
            Self::Pareto => {
                let points = [(0.0, -6.5), (6.5, 5.0), (-6.5, 5.0)]
                    .map(|(dx, dy)| format!("{},{}", px(x + dx), px(y + dy)))
                    .join(" ");
                html! { polygon class="mark pareto" points=(points) {} }
            }
        }
    }
}

/// A legend entry's picture.
pub(crate) fn key(mark: Option<Mark>) -> Markup {
    html! {
        svg class="key" width="16" height="16" viewBox="0 0 16 16" aria-hidden="true" {
            @match mark {
                Some(mark) => (mark.draw(8.0, 8.0)),
                None => rect class="followed" x="2" y="1" width="12" height="14" rx="2" {},
            }
        }
    }
}

/// Purchases per customer that followed, and that each model expected, by number of earlier purchases.
pub(crate) fn prediction(groups: &[ValidationGroup]) -> Markup {
    let mean = |sum: f64, group: &ValidationGroup| sum / f64::from(group.customers.max(1));
    let highest = groups
        .iter()
        .flat_map(|group| {
            let predicted = Mark::ALL.map(|mark| mark.predicted(group));
            predicted
                .into_iter()
                .chain([f64::from(group.actual)])
                .map(|sum| mean(sum, group))
        })
        .fold(0.5, f64::max);
    let (left, right, top, bottom) = (52.0, WIDTH - 8.0, 16.0, 300.0);
    let y = Scale {
        from: (0.0, highest * 1.06),
        to: (bottom, top),
    };
    let band = (right - left) / groups.len().max(1) as f64;
    let bar = band * 0.62;
    html! {
        svg viewBox="0 0 760 362" role="img" aria-labelledby="prediction-title prediction-text" {
            title id="prediction-title" { "Predicted against actual purchases per customer" }
            desc id="prediction-text" {
                "For each number of earlier repeat purchases: the purchases per customer that "
                "followed, as a bar, and what three models expected, as marks. The table below "
                "holds the same as sums."
            }
            @for tick in ticks(0.0, highest * 1.06, 5.0) {
                line class="grid" x1=(px(left)) x2=(px(right)) y1=(px(y.at(tick))) y2=(px(y.at(tick))) {}
                text class="tick" x=(px(left - 8.0)) y=(px(y.at(tick) + 4.0)) text-anchor="end" { (tick) }
            }
            @for (n, group) in groups.iter().enumerate() {
                @let middle = left + band * (n as f64 + 0.5);
                @let height = y.at(mean(group.actual.into(), group));
                rect class="followed" x=(px(middle - bar / 2.0)) y=(px(height)) width=(px(bar))
                    height=(px(bottom - height)) rx="3" {}
                @for (m, mark) in Mark::ALL.into_iter().enumerate() {
                    (mark.draw(middle + (m as f64 - 1.0) * bar * 0.31, y.at(mean(mark.predicted(group), group))))
                }
                text class="label" x=(px(middle)) y=(px(bottom + 20.0)) text-anchor="middle" {
                    (group_name(group))
                }
                text class="tick" x=(px(middle)) y=(px(bottom + 37.0)) text-anchor="middle" {
                    (format::count(group.customers)) " cust."
                }
            }
            line class="axis" x1=(px(left)) x2=(px(right)) y1=(px(bottom)) y2=(px(bottom)) {}
            text class="tick" x=(px((left + right) / 2.0)) y="358" text-anchor="middle" {
                "repeat purchases in the 39 weeks before"
            }
        }
    }
}

/// `3`, or `7+` for the last group.
pub(crate) fn group_name(group: &ValidationGroup) -> String {
    let more = if group.or_more { "+" } else { "" };
    format!("{}{more}", group.repeat_purchases)
}

/// One tier's bars.
#[derive(Debug, Clone)]
pub(crate) struct TierBars {
    pub(crate) name: String,
    pub(crate) share_of_customers: f64,
    pub(crate) share_of_value: f64,
}

/// Each tier's share of the customers and of the expected value.
pub(crate) fn tiers(tiers: &[TierBars]) -> Markup {
    let (left, right, row) = (132.0, WIDTH - 64.0, 62.0);
    let height = row * tiers.len() as f64 + 8.0;
    let x = Scale {
        from: (0.0, 1.0),
        to: (left, right),
    };
    let bar = |class: &'static str, share: f64, top: f64| {
        html! {
            rect class=(class) x=(px(left)) y=(px(top)) width=(px((x.at(share) - left).max(1.5)))
                height="18" rx="3" {}
            text class="label" x=(px(x.at(share) + 8.0)) y=(px(top + 14.0)) { (format::percent(share)) }
        }
    };
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-labelledby="tiers-title tiers-text" {
            title id="tiers-title" { "Customers and expected value by tier" }
            desc id="tiers-text" {
                @for tier in tiers {
                    (tier.name) ": " (format::percent(tier.share_of_customers)) " of the customers, "
                    (format::percent(tier.share_of_value)) " of the expected value. "
                }
            }
            @for (n, tier) in tiers.iter().enumerate() {
                @let top = row * n as f64 + 8.0;
                text class="label strong" x=(px(left - 12.0)) y=(px(top + 26.0)) text-anchor="end" { (tier.name) }
                (bar("second", tier.share_of_customers, top))
                (bar("actual", tier.share_of_value, top + 22.0))
            }
            line class="axis" x1=(px(left)) x2=(px(left)) y1="0" y2=(px(height)) {}
        }
    }
}

/// The measured difference between the arms with its interval, against zero.
pub(crate) fn interval(outcome: &Outcome) -> Markup {
    let reach = [outcome.uplift_lower, outcome.uplift_upper, 0.05]
        .into_iter()
        .fold(0.0, |reach: f64, bound| reach.max(bound.abs()))
        * 1.25;
    let x = Scale {
        from: (-reach, reach),
        to: (24.0, WIDTH - 24.0),
    };
    let (middle, bottom) = (64.0, 96.0);
    let (low, high) = (x.at(outcome.uplift_lower), x.at(outcome.uplift_upper));
    html! {
        svg viewBox="0 0 760 142" role="img" aria-labelledby="interval-title interval-text" {
            title id="interval-title" { "Difference between the arms" }
            desc id="interval-text" {
                (format::points(outcome.uplift)) " percentage points, interval from "
                (format::points(outcome.uplift_lower)) " to " (format::points(outcome.uplift_upper)) "."
            }
            @for tick in ticks(-reach, reach, 8.0) {
                line class="grid" x1=(px(x.at(tick))) x2=(px(x.at(tick))) y1="26" y2=(px(bottom)) {}
                text class="tick" x=(px(x.at(tick))) y=(px(bottom + 17.0)) text-anchor="middle" {
                    (if tick == 0.0 { "0".to_owned() } else { format!("{:+.0}", tick * 100.0).replace('-', "\u{2212}") })
                }
            }
            line class="zero" x1=(px(x.at(0.0))) x2=(px(x.at(0.0))) y1="26" y2=(px(bottom)) {}
            text class="tick" x=(px(x.at(0.0))) y="16" text-anchor="middle" { "no difference" }
            line class="whisker" x1=(px(low)) x2=(px(high)) y1=(px(middle)) y2=(px(middle)) {}
            @for end in [low, high] {
                line class="whisker" x1=(px(end)) x2=(px(end)) y1=(px(middle - 8.0)) y2=(px(middle + 8.0)) {}
            }
            circle class="estimate" cx=(px(x.at(outcome.uplift))) cy=(px(middle)) r="7" {}
            text class="label strong" x=(px(x.at(outcome.uplift))) y=(px(middle - 15.0)) text-anchor="middle" {
                (format::points(outcome.uplift))
            }
            text class="tick" x=(px(WIDTH / 2.0)) y="136" text-anchor="middle" {
                "percentage points more buyers among those who would have been contacted"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(ticks(0.0, 7.4, 5.0), [0.0, 2.0, 4.0, 6.0]);
        assert_eq!(ticks(-0.12, 0.12, 8.0), [-0.1, -0.05, 0.0, 0.05, 0.1]);
    }

    #[test]
    fn a_scale_meets_both_ends() {
        let scale = Scale {
            from: (0.0, 4.0),
            to: (300.0, 20.0),
        };
        assert_eq!(
            (scale.at(0.0), scale.at(4.0), scale.at(2.0)),
            (300.0, 20.0, 160.0)
        );
    }

    #[test]
    fn a_bar_is_as_high_as_its_mean_and_an_empty_group_has_none() {
        let group = |customers, actual| ValidationGroup {
            repeat_purchases: 1,
            customers,
            actual,
            ..ValidationGroup::default()
        };
        let drawn = prediction(&[group(10, 20), group(0, 0)]).into_string();
        // The first bar's mean, 2, is the highest: it ends where 1 / 1.06 of the height is used.
        let top = 300.0 - 284.0 / 1.06;
        assert!(
            drawn.contains(&format!("height=\"{:.1}\"", 300.0 - top)),
            "{drawn}"
        );
        assert!(
            drawn.contains("height=\"0.0\"") && !drawn.contains("NaN"),
            "{drawn}"
        );
    }
}
