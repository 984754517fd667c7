//! A fit as the contract has it, in events and answers alike.

use contracts::segmentation::v1 as pb;
use event_log::timestamp;

use crate::domain::{
    CutPoints, Fit,
    models::{BgNbd, Fitted, GammaGamma, MbgNbd, ParetoNbd},
};

pub(crate) fn message(fit: &Fit) -> pb::Fit {
    let (bg, mbg) = (fit.bg_nbd.model, fit.mbg_nbd.model);
    let (pareto, gamma) = (fit.pareto_nbd.model, fit.gamma_gamma.model);
    pb::Fit {
        fit_id: fit.id.to_string(),
        calibration_end_time: Some(timestamp::to_proto(fit.calibration_end)),
        customers: fit.customers,
        repeat_customers: fit.repeat_customers,
        bg_nbd: Some(pb::BetaGeometricParameters {
            r: bg.r,
            alpha: bg.alpha,
            a: bg.a,
            b: bg.b,
            log_likelihood: fit.bg_nbd.log_likelihood,
        }),
        mbg_nbd: Some(pb::BetaGeometricParameters {
            r: mbg.r,
            alpha: mbg.alpha,
            a: mbg.a,
            b: mbg.b,
            log_likelihood: fit.mbg_nbd.log_likelihood,
        }),
        pareto_nbd: Some(pb::ParetoNbdParameters {
            r: pareto.r,
            alpha: pareto.alpha,
            s: pareto.s,
            beta: pareto.beta,
            log_likelihood: fit.pareto_nbd.log_likelihood,
        }),
        gamma_gamma: Some(pb::GammaGammaParameters {
            p: gamma.p,
            q: gamma.q,
            gamma: gamma.gamma,
            log_likelihood: fit.gamma_gamma.log_likelihood,
        }),
        horizon_weeks: fit.horizon_weeks,
        currency_code: fit.currency_code.clone(),
        recency_cut_points_days: doubles(fit.cut_points.recency_days),
        frequency_cut_points: doubles(fit.cut_points.frequency),
        monetary_cut_points_minor: doubles(fit.cut_points.monetary_minor),
        tier_policy_version: fit.tier_policy_version,
    }
}

/// `None` when it lacks something that every fit has.
pub(crate) fn of_message(message: &pb::Fit) -> Option<Fit> {
    let (bg, mbg) = (message.bg_nbd.as_ref()?, message.mbg_nbd.as_ref()?);
    let (pareto, gamma) = (message.pareto_nbd.as_ref()?, message.gamma_gamma.as_ref()?);
    Some(Fit {
        id: message.fit_id.parse().ok()?,
        calibration_end: timestamp::from_proto(message.calibration_end_time.as_ref()?).ok()?,
        customers: message.customers,
        repeat_customers: message.repeat_customers,
        bg_nbd: Fitted {
            model: BgNbd {
                r: bg.r,
                alpha: bg.alpha,
                a: bg.a,
                b: bg.b,
            },
            log_likelihood: bg.log_likelihood,
        },
        mbg_nbd: Fitted {
            model: MbgNbd {
                r: mbg.r,
                alpha: mbg.alpha,
                a: mbg.a,
                b: mbg.b,
            },
            log_likelihood: mbg.log_likelihood,
        },
        pareto_nbd: Fitted {
            model: ParetoNbd {
                r: pareto.r,
                alpha: pareto.alpha,
                s: pareto.s,
                beta: pareto.beta,
            },
            log_likelihood: pareto.log_likelihood,
        },
        gamma_gamma: Fitted {
            model: GammaGamma {
                p: gamma.p,
                q: gamma.q,
                gamma: gamma.gamma,
            },
            log_likelihood: gamma.log_likelihood,
        },
        horizon_weeks: message.horizon_weeks,
        currency_code: message.currency_code.clone(),
        cut_points: CutPoints {
            recency_days: whole(&message.recency_cut_points_days)?,
            frequency: whole(&message.frequency_cut_points)?,
            monetary_minor: whole(&message.monetary_cut_points_minor)?,
        },
        tier_policy_version: message.tier_policy_version,
    })
}

/// Cut points are whole numbers far below 2^53, so that a double holds them exactly.
fn doubles(cut_points: [i64; 4]) -> Vec<f64> {
    cut_points.map(|cut_point| cut_point as f64).to_vec()
}

fn whole(cut_points: &[f64]) -> Option<[i64; 4]> {
    let cut_points: [f64; 4] = cut_points.try_into().ok()?;
    Some(cut_points.map(|cut_point| cut_point as i64))
}
