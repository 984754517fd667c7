//! `report.json`: what the demo found, for programs. Its keys are a promise to whoever reads it.

use std::collections::BTreeMap;

use contracts::campaigns::v1::{ArmOutcome, Campaign, GetOutcomeResponse, RefusalReason};
use contracts::segmentation::v1::{
    BetaGeometricParameters, Fit, GammaGammaParameters, ParetoNbdParameters, Tier, TierSummary,
    ValidateFitResponse,
};
use serde::Serialize;

use super::service::PerService;
use super::streams::Counts;

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub(crate) imported: ImportedTotals,
    pub(crate) bgnbd: BetaGeometric,
    pub(crate) paretonbd: ParetoNbd,
    pub(crate) mbgnbd: BetaGeometric,
    pub(crate) gamma_gamma: GammaGamma,
    pub(crate) holdout: Holdout,
    pub(crate) tiers: Vec<TierShare>,
    pub(crate) segment: SegmentTotals,
    pub(crate) campaign: CampaignTotals,
    pub(crate) streams: PerService<Counts>,
    pub(crate) seconds: Seconds,
}

/// Totals as the services hold them, not as the file has them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ImportedTotals {
    pub(crate) customers: u64,
    pub(crate) purchases: u64,
    pub(crate) customer_days: u64,
    pub(crate) revenue_minor: i64,
    pub(crate) rejected: u64,
    pub(crate) duplicates_on_second_import: u64,
}

/// Parameters of BG/NBD or MBG/NBD; weeks.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct BetaGeometric {
    pub(crate) r: f64,
    pub(crate) alpha: f64,
    pub(crate) a: f64,
    pub(crate) b: f64,
    pub(crate) log_likelihood: f64,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct ParetoNbd {
    pub(crate) r: f64,
    pub(crate) alpha: f64,
    pub(crate) s: f64,
    pub(crate) beta: f64,
    pub(crate) log_likelihood: f64,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct GammaGamma {
    pub(crate) p: f64,
    pub(crate) q: f64,
    pub(crate) gamma: f64,
    pub(crate) log_likelihood: f64,
}

/// Repeat purchase days in the weeks after calibration; `predicted` is BG/NBD's.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Holdout {
    pub(crate) weeks: f64,
    pub(crate) predicted: f64,
    pub(crate) actual: u32,
    pub(crate) predicted_mbgnbd: f64,
    pub(crate) predicted_paretonbd: f64,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct TierShare {
    pub(crate) tier: &'static str,
    pub(crate) customers: u32,
    pub(crate) share_of_value: f64,
}

/// The segment as of the end of calibration.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SegmentTotals {
    pub(crate) name: String,
    pub(crate) rule: String,
    pub(crate) members: usize,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct CampaignTotals {
    pub(crate) decided: u32,
    pub(crate) contacted: u32,
    pub(crate) held_out: u32,
    pub(crate) refused: BTreeMap<&'static str, u32>,
    pub(crate) outcome: Outcome,
}

/// An A/A check: nobody was contacted, so the true uplift is 0.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    pub(crate) contacted: Arm,
    pub(crate) held_out: Arm,
    pub(crate) uplift: f64,
    pub(crate) uplift_lower: f64,
    pub(crate) uplift_upper: f64,
    pub(crate) confidence_level: f64,
    pub(crate) covers_zero: bool,
    pub(crate) retrospective: bool,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Arm {
    pub(crate) customers: u32,
    pub(crate) buyers: u32,
    pub(crate) rate: f64,
    pub(crate) purchases: u32,
    pub(crate) revenue_minor: i64,
}

/// `setup` from the built program to services that are ready; `import` the first import; `evaluate` models,
/// lists, segment and campaign; `total` also the second import and the comparison of streams.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Seconds {
    pub(crate) setup: f64,
    pub(crate) import: f64,
    pub(crate) evaluate: f64,
    pub(crate) total: f64,
}

/// The four fitted models.
#[derive(Debug, Clone)]
pub(crate) struct Models {
    pub(crate) bgnbd: BetaGeometric,
    pub(crate) paretonbd: ParetoNbd,
    pub(crate) mbgnbd: BetaGeometric,
    pub(crate) gamma_gamma: GammaGamma,
}

impl Models {
    /// `None` when the fit lacks one.
    pub(crate) fn of(fit: &Fit) -> Option<Self> {
        Some(Self {
            bgnbd: fit.bg_nbd.as_ref()?.into(),
            paretonbd: fit.pareto_nbd.as_ref()?.into(),
            mbgnbd: fit.mbg_nbd.as_ref()?.into(),
            gamma_gamma: fit.gamma_gamma.as_ref()?.into(),
        })
    }
}

impl From<&BetaGeometricParameters> for BetaGeometric {
    fn from(fitted: &BetaGeometricParameters) -> Self {
        Self {
            r: fitted.r,
            alpha: fitted.alpha,
            a: fitted.a,
            b: fitted.b,
            log_likelihood: fitted.log_likelihood,
        }
    }
}

impl From<&ParetoNbdParameters> for ParetoNbd {
    fn from(fitted: &ParetoNbdParameters) -> Self {
        Self {
            r: fitted.r,
            alpha: fitted.alpha,
            s: fitted.s,
            beta: fitted.beta,
            log_likelihood: fitted.log_likelihood,
        }
    }
}

impl From<&GammaGammaParameters> for GammaGamma {
    fn from(fitted: &GammaGammaParameters) -> Self {
        Self {
            p: fitted.p,
            q: fitted.q,
            gamma: fitted.gamma,
            log_likelihood: fitted.log_likelihood,
        }
    }
}

impl From<&ValidateFitResponse> for Holdout {
    fn from(validation: &ValidateFitResponse) -> Self {
        Self {
            weeks: validation.weeks,
            predicted: validation.predicted_bg_nbd,
            actual: validation.actual,
            predicted_mbgnbd: validation.predicted_mbg_nbd,
            predicted_paretonbd: validation.predicted_pareto_nbd,
        }
    }
}

impl From<&TierSummary> for TierShare {
    fn from(summary: &TierSummary) -> Self {
        Self {
            tier: tier_name(summary.tier()),
            customers: summary.customers,
            share_of_value: summary.share_of_value,
        }
    }
}

impl CampaignTotals {
    pub(crate) fn new(campaign: &Campaign, outcome: &GetOutcomeResponse) -> Self {
        let refused = campaign.refused.iter();
        Self {
            decided: campaign.decided,
            contacted: campaign.contacted,
            held_out: campaign.held_out,
            refused: refused
                .map(|count| (reason_name(count.reason()), count.customers))
                .collect(),
            outcome: outcome.into(),
        }
    }
}

impl From<&GetOutcomeResponse> for Outcome {
    fn from(outcome: &GetOutcomeResponse) -> Self {
        Self {
            contacted: outcome.contacted.unwrap_or_default().into(),
            held_out: outcome.held_out.unwrap_or_default().into(),
            uplift: outcome.uplift,
            uplift_lower: outcome.uplift_lower,
            uplift_upper: outcome.uplift_upper,
            confidence_level: outcome.confidence_level,
            covers_zero: outcome.uplift_lower <= 0.0 && outcome.uplift_upper >= 0.0,
            retrospective: outcome.retrospective,
        }
    }
}

impl From<ArmOutcome> for Arm {
    fn from(arm: ArmOutcome) -> Self {
        Self {
            customers: arm.customers,
            buyers: arm.buyers,
            rate: arm.rate,
            purchases: arm.purchases,
            revenue_minor: arm.revenue_minor,
        }
    }
}

/// The tier's name as rules spell it.
pub(crate) fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::Unspecified => "unspecified",
        Tier::MostValuable => "most_valuable",
        Tier::MostGrowable => "most_growable",
        Tier::Standard => "standard",
        Tier::BelowZero => "below_zero",
    }
}

fn reason_name(reason: RefusalReason) -> &'static str {
    match reason {
        RefusalReason::Unspecified => "unspecified",
        RefusalReason::NoConsent => "no_consent",
        RefusalReason::ConsentWithdrawn => "consent_withdrawn",
        RefusalReason::AlreadyContacted => "already_contacted",
        RefusalReason::ProcessingRestricted => "processing_restricted",
        RefusalReason::CustomerMerged => "customer_merged",
    }
}
