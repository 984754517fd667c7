//! A fit of the value models: what was learnt from all purchases up to a moment.

use aggregate::{Aggregate, currency::minor_per_unit};
use time::OffsetDateTime;

use super::{
    ids::FitId,
    models::{
        BgNbd, Fitted, GammaGamma, MbgNbd, ModelError, ParetoNbd, PurchaseModel, Spend, Summary,
        Triple,
    },
    rfm::CutPoints,
    scoring::History,
    tier::TIER_POLICY_VERSION,
};

/// The four models and what they were fitted to.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// Id.
    pub id: FitId,
    /// Purchases up to this moment were used.
    pub calibration_end: OffsetDateTime,
    /// Customers with a purchase by then.
    pub customers: u32,
    /// Customers with a repeat purchase by then.
    pub repeat_customers: u32,
    /// BG/NBD.
    pub bg_nbd: Fitted<BgNbd>,
    /// MBG/NBD, by which customers are scored.
    pub mbg_nbd: Fitted<MbgNbd>,
    /// Pareto/NBD.
    pub pareto_nbd: Fitted<ParetoNbd>,
    /// Gamma-Gamma, in whole units of the currency.
    pub gamma_gamma: Fitted<GammaGamma>,
    /// Horizon of what is expected.
    pub horizon_weeks: u32,
    /// Currency of all amounts.
    pub currency_code: String,
    /// Cut points of the recency, frequency and monetary scores.
    pub cut_points: CutPoints,
    /// Version of the tier policy.
    pub tier_policy_version: u32,
}

impl Fit {
    /// Julian day of the end of calibration, in UTC.
    #[must_use]
    pub fn calibration_end_day(&self) -> i32 {
        self.calibration_end.to_julian_day()
    }
}

/// Why there is no fit.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum FitError {
    /// Nobody has bought anything by then.
    #[error("there is no purchase by the calibration end")]
    NoPurchases,
    /// Nobody has come back by then, or not for money.
    #[error("no customer has a repeat purchase of a value above zero by the calibration end")]
    NoRepeatPurchases,
    /// A model has no most likely parameters on these purchases.
    #[error("the purchases do not determine the models: {0}")]
    NotDetermined(ModelError),
    /// The spread of spend is so wide that customers without a repeat purchase have no finite expected value.
    #[error("the spread of spend is so wide that its mean is infinite (q = {q})")]
    InfiniteMeanSpend {
        /// Shape of the spread over customers.
        q: f64,
    },
}

impl From<ModelError> for FitError {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Empty => Self::NoPurchases,
            ModelError::NoRepeatPurchases => Self::NoRepeatPurchases,
            ModelError::InvalidTriple { .. }
            | ModelError::InvalidSpend { .. }
            | ModelError::NotConverged { .. }
            | ModelError::InfiniteMean { .. }
            | ModelError::InvalidDiscount(_) => Self::NotDetermined(error),
        }
    }
}

/// Fits all four models. Takes seconds.
///
/// # Errors
/// When the purchases do not determine the parameters.
pub fn fit_models(
    id: FitId,
    histories: &[History],
    calibration_end: OffsetDateTime,
    horizon_weeks: u32,
    currency_code: &str,
) -> Result<Fit, FitError> {
    let end_day = calibration_end.to_julian_day();
    let summaries: Vec<Summary> = histories
        .iter()
        .filter_map(|history| history.summary(end_day))
        .collect();
    let triples: Vec<Triple> = summaries.iter().map(|summary| summary.triple).collect();
    let minor = minor_per_unit(currency_code);
    // Gamma-Gamma knows positive spend only; those without are expected to spend what the model says of the rest.
    let spends: Vec<Spend> = summaries
        .iter()
        .filter_map(|summary| summary.spend(minor).ok())
        .collect();
    if triples.is_empty() {
        return Err(FitError::NoPurchases);
    }
    if spends.is_empty() {
        return Err(FitError::NoRepeatPurchases);
    }
    let gamma_gamma = GammaGamma::fit(&spends)?;
    let q = gamma_gamma.model.q;
    if q <= 1.0 {
        return Err(FitError::InfiniteMeanSpend { q });
    }
    let measures: Vec<_> = histories
        .iter()
        .filter_map(|history| history.measures(end_day))
        .collect();
    let repeat_customers = triples.iter().filter(|triple| triple.x() > 0).count();
    Ok(Fit {
        id,
        calibration_end,
        customers: count(triples.len()),
        repeat_customers: count(repeat_customers),
        bg_nbd: BgNbd::fit(&triples)?,
        mbg_nbd: MbgNbd::fit(&triples)?,
        pareto_nbd: ParetoNbd::fit(&triples)?,
        gamma_gamma,
        horizon_weeks,
        currency_code: currency_code.to_owned(),
        cut_points: CutPoints::over(&measures),
        tier_policy_version: TIER_POLICY_VERSION,
    })
}

fn count(customers: usize) -> u32 {
    u32::try_from(customers).unwrap_or(u32::MAX)
}

/// A fit as it stands in its stream: made once, never changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ValueFit {
    /// The fit; none when the stream is empty.
    pub fit: Option<Fit>,
}

/// Record a fit.
#[derive(Clone, Debug)]
pub struct RecordFit(pub Fit);

/// Value models were fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelsFitted(pub Fit);

/// There is a fit with this id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the fit was made already")]
pub struct AlreadyFitted;

impl Aggregate for ValueFit {
    const TYPE: &'static str = "fit";
    type Command = RecordFit;
    type Event = ModelsFitted;
    type Rejection = AlreadyFitted;

    fn decide(&self, command: &RecordFit) -> Result<Vec<ModelsFitted>, AlreadyFitted> {
        match self.fit {
            Some(_) => Err(AlreadyFitted),
            None => Ok(vec![ModelsFitted(command.0.clone())]),
        }
    }

    fn evolve(&mut self, event: &ModelsFitted) {
        self.fit = Some(event.0.clone());
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::LazyLock;

    use aggregate::{CustomerId, scenario::given};
    use time::{Date, Month, macros::datetime};
    use uuid::Uuid;

    use super::*;
    use crate::domain::models::Purchase;

    const END: OffsetDateTime = datetime!(1997-09-30 23:59:59 UTC);
    const ROWS: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../data/cdnow_sample.txt"
    ));

    static SAMPLE: LazyLock<(Vec<History>, Fit)> = LazyLock::new(|| {
        let histories = parsed();
        let fit = fit(&histories).unwrap();
        (histories, fit)
    });

    /// The CDNOW sample, and a fit to it.
    pub(crate) fn sample() -> (Vec<History>, Fit) {
        SAMPLE.clone()
    }

    fn parsed() -> Vec<History> {
        let rows: Vec<(u128, Purchase)> = ROWS.lines().map(parse).collect();
        rows.chunk_by(|a, b| a.0 == b.0)
            .map(|rows| {
                let purchases: Vec<Purchase> = rows.iter().map(|(_, purchase)| *purchase).collect();
                let in_time = purchases
                    .iter()
                    .filter(|purchase| purchase.day <= END.to_julian_day());
                History {
                    customer: CustomerId(Uuid::from_u128(rows[0].0)),
                    monetary_minor: in_time.map(|purchase| purchase.amount_minor).sum(),
                    margin_minor: None,
                    purchases,
                }
            })
            .collect()
    }

    fn parse(row: &str) -> (u128, Purchase) {
        let columns: Vec<&str> = row.split_whitespace().collect();
        let date: i32 = columns[2].parse().unwrap();
        let month = Month::try_from(u8::try_from(date / 100 % 100).unwrap()).unwrap();
        let day = Date::from_calendar_date(date / 10_000, month, u8::try_from(date % 100).unwrap())
            .unwrap();
        let purchase = Purchase {
            day: day.to_julian_day(),
            amount_minor: columns[4].replace('.', "").parse().unwrap(),
        };
        (columns[0].parse().unwrap(), purchase)
    }

    fn fit(histories: &[History]) -> Result<Fit, FitError> {
        fit_models(FitId(Uuid::from_u128(1)), histories, END, 39, "USD")
    }

    fn days_ago(days: i32) -> Purchase {
        Purchase {
            day: END.to_julian_day() - days,
            amount_minor: 1_000,
        }
    }

    fn alike(purchases: &[Purchase]) -> Vec<History> {
        (0..20)
            .map(|n| History {
                customer: CustomerId(Uuid::from_u128(n)),
                purchases: purchases.to_vec(),
                monetary_minor: 3_000,
                margin_minor: None,
            })
            .collect()
    }

    #[test]
    fn counts_who_bought_and_who_came_back() {
        let (_, fit) = sample();
        assert_eq!((fit.customers, fit.repeat_customers), (2_357, 946));
        assert_eq!(fit.tier_policy_version, TIER_POLICY_VERSION);
    }

    /// Purchases of the same day are one, and more than half of the customers never came back: they share the lowest score, and score 2 is empty.
    #[test]
    fn cut_points_keep_ties_together() {
        let (_, fit) = sample();
        assert_eq!(fit.cut_points.frequency, [2, 2, 3, 4]);
    }

    #[test]
    fn says_why_there_is_no_fit() {
        assert_eq!(fit(&[]), Err(FitError::NoPurchases));
        assert_eq!(fit(&alike(&[days_ago(-1)])), Err(FitError::NoPurchases));
        assert_eq!(
            fit(&alike(&[days_ago(10)])),
            Err(FitError::NoRepeatPurchases)
        );
        let refused = fit(&alike(&[days_ago(100), days_ago(50), days_ago(1)]));
        assert!(matches!(refused, Err(FitError::NotDetermined(_))));
    }

    #[test]
    fn a_fit_is_made_once() {
        let (_, made) = sample();
        given::<ValueFit>([])
            .when(RecordFit(made.clone()))
            .then([ModelsFitted(made.clone())]);
        given::<ValueFit>([ModelsFitted(made.clone())])
            .when(RecordFit(made))
            .then_rejected(AlreadyFitted);
    }
}
