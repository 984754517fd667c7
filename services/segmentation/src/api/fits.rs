//! Fits of the value models, and how well they foretold.

use aggregate::TenantId;
use contracts::segmentation::v1 as pb;
use event_log::{CommandError, Decision, Stream};
use prost::Message as _;
use service::{Caller, command, status};
use time::OffsetDateTime;
use tokio::time::Instant;
use tonic::Status;

use super::{Api, in_time, parse};
use crate::{
    codec,
    domain::{
        AlreadyFitted, Fit, FitError, FitId, Group, RecordFit, Validation, ValueFit, fit_models,
        validate,
    },
    progress,
    read_model::{
        Catalogue,
        histories::{Histories, histories},
        values,
    },
};

const HORIZON_WEEKS_DEFAULT: u32 = 39;
const HORIZON_WEEKS_MAX: u32 = 520;

/// Why there is no fit.
enum Refusal {
    MixedCurrencies(Vec<String>),
    Fit(FitError),
    Already(AlreadyFitted),
}

fn refused(refusal: Refusal, fit: FitId) -> Status {
    let subject = format!("fit/{fit}");
    let (reason, description) = match refusal {
        Refusal::MixedCurrencies(currencies) => {
            let currencies = currencies.join(", ");
            let description =
                format!("purchases are in several currencies ({currencies}); the models take one");
            ("MIXED_CURRENCIES", description)
        }
        Refusal::Already(already) => {
            return status::already_exists("fit", &fit.to_string(), &format!("{already:?}"));
        }
        Refusal::Fit(error) => {
            let reason = match &error {
                FitError::NoPurchases => "NO_PURCHASES",
                FitError::NoRepeatPurchases => "NO_REPEAT_PURCHASES",
                FitError::NotDetermined(_) => "MODEL_NOT_DETERMINED",
                FitError::InfiniteMeanSpend { .. } => "INFINITE_MEAN_SPEND",
            };
            (reason, error.to_string())
        }
    };
    status::failed_precondition(reason, &subject, &description)
}

impl Api {
    pub(super) async fn fit(
        &self,
        caller: &Caller,
        deadline: Instant,
        mut request: pb::FitModelsRequest,
    ) -> Result<pb::FitModelsResponse, Status> {
        let calibration_end = parse::moment(
            "calibration_end_time",
            request.calibration_end_time.as_ref(),
        )?;
        if calibration_end > caller.now {
            return Err(status::invalid_field(
                "calibration_end_time",
                "must not be in the future",
            ));
        }
        let horizon_weeks = match request.horizon_weeks {
            0 => HORIZON_WEEKS_DEFAULT,
            weeks if weeks <= HORIZON_WEEKS_MAX => weeks,
            _ => {
                let reason = format!("must be 1 to {HORIZON_WEEKS_MAX}");
                return Err(status::invalid_field("horizon_weeks", reason));
            }
        };
        // What a repeat waits for may differ from what the first request waited for.
        let tokens = std::mem::take(&mut request.consistency_token);
        let command = caller
            .command(&self.log, self.retention, &request.request_id, &request)
            .await?;
        self.wait(caller, &tokens).await?;
        self.require_all_facts().await?;
        let id = FitId(caller.derive_id(&request.request_id, "fit"));
        let stream = Stream::of_own(&caller.tenant, id.into());
        let committed = self
            .log
            .transact(&command, || async {
                let mut loaded = self.log.load::<ValueFit>(&stream).await?;
                let (fit, append) = match loaded.state.fit.clone() {
                    // A repeat must not fit anew only to learn that it is one.
                    Some(fit) => (fit, None),
                    None => {
                        let fit = self
                            .new_fit(&caller.tenant, id, calibration_end, horizon_weeks)
                            .await?;
                        let append = loaded.decide(&RecordFit(fit.clone()), &command);
                        let append = append.map_err(|error| match error {
                            CommandError::Rejected(already) => {
                                CommandError::Rejected(Refusal::Already(already))
                            }
                            CommandError::IdempotencyMismatch => CommandError::IdempotencyMismatch,
                            CommandError::Contended => CommandError::Contended,
                            CommandError::Failed(error) => CommandError::Failed(error),
                        })?;
                        (fit, Some(append))
                    }
                };
                let response = pb::FitModelsResponse {
                    fit: Some(codec::fit::message(&fit)),
                    consistency_token: String::new(),
                };
                Ok(Decision::new(append, &response))
            })
            .await
            .map_err(|error| command::refused(error, |refusal| refused(refusal, id)))?;
        let token = committed.token.to_string();
        caller
            .wait(&self.log, &Catalogue, progress::OWN, &token)
            .await?;
        in_time(deadline, self.worker.scored(&caller.tenant, id)).await?;
        let mut response = pb::FitModelsResponse::decode(&*committed.response)
            .map_err(|error| status::internal(&error))?;
        response.consistency_token = self.token().await?;
        Ok(response)
    }

    async fn new_fit(
        &self,
        tenant: &TenantId,
        id: FitId,
        calibration_end: OffsetDateTime,
        horizon_weeks: u32,
    ) -> Result<Fit, CommandError<Refusal>> {
        let Histories {
            histories,
            currencies,
        } = histories(self.log.pool(), tenant, calibration_end, calibration_end)
            .await
            .map_err(|error| CommandError::Failed(error.into()))?;
        let currencies: Vec<String> = currencies.into_iter().collect();
        let currency = match currencies.as_slice() {
            [] => return Err(CommandError::Rejected(Refusal::Fit(FitError::NoPurchases))),
            [one] => one.clone(),
            _ => return Err(CommandError::Rejected(Refusal::MixedCurrencies(currencies))),
        };
        tokio::task::spawn_blocking(move || {
            fit_models(id, &histories, calibration_end, horizon_weeks, &currency)
        })
        .await
        .expect("fitting does not panic and is not cancelled")
        .map_err(|error| CommandError::Rejected(Refusal::Fit(error)))
    }

    /// A fit as it stands in its stream.
    async fn recorded_fit(&self, caller: &Caller, fit: FitId) -> Result<Fit, Status> {
        let stream = Stream::of_own(&caller.tenant, fit.into());
        let loaded = self
            .log
            .load::<ValueFit>(&stream)
            .await
            .map_err(command::failed)?;
        loaded
            .state
            .fit
            .ok_or_else(|| status::not_found("fit", &fit.to_string()))
    }

    /// The fit of this id, or the newest when it is empty.
    pub(super) async fn fit_or_newest(&self, caller: &Caller, fit_id: &str) -> Result<Fit, Status> {
        if !fit_id.is_empty() {
            return self
                .recorded_fit(caller, parse::id("fit_id", fit_id)?)
                .await;
        }
        values::newest_fit(self.log.pool(), &caller.tenant)
            .await
            .map_err(command::database)?
            .ok_or_else(|| status::not_found("fit", "newest"))
    }

    pub(super) async fn fit_by_id(
        &self,
        caller: &Caller,
        request: &pb::GetFitRequest,
    ) -> Result<pb::GetFitResponse, Status> {
        let fit = self.fit_or_newest(caller, &request.fit_id).await?;
        Ok(pb::GetFitResponse {
            fit: Some(codec::fit::message(&fit)),
        })
    }

    pub(super) async fn validation(
        &self,
        caller: &Caller,
        request: &pb::ValidateFitRequest,
    ) -> Result<pb::ValidateFitResponse, Status> {
        let id: FitId = parse::id("fit_id", &request.fit_id)?;
        let until = parse::moment("until_time", request.until_time.as_ref())?;
        if until > caller.now {
            return Err(status::invalid_field(
                "until_time",
                "must not be in the future",
            ));
        }
        self.wait(caller, &request.consistency_token).await?;
        self.require_all_facts().await?;
        let fit = self.recorded_fit(caller, id).await?;
        let until_day = until.to_julian_day();
        if until_day <= fit.calibration_end_day() {
            let reason = "must be at least a day after the calibration end";
            return Err(status::invalid_field("until_time", reason));
        }
        let found = histories(self.log.pool(), &caller.tenant, fit.calibration_end, until)
            .await
            .map_err(command::database)?;
        let validation =
            tokio::task::spawn_blocking(move || validate(&fit, &found.histories, until_day))
                .await
                .expect("predicting does not panic and is not cancelled");
        Ok(validation_message(&validation))
    }
}

fn validation_message(validation: &Validation) -> pb::ValidateFitResponse {
    let group = |group: &Group| pb::ValidationGroup {
        repeat_purchases: group.repeat_purchases,
        or_more: group.or_more,
        customers: group.customers,
        predicted_bg_nbd: group.predicted_bg_nbd,
        predicted_mbg_nbd: group.predicted_mbg_nbd,
        predicted_pareto_nbd: group.predicted_pareto_nbd,
        actual: group.actual,
    };
    pb::ValidateFitResponse {
        weeks: validation.weeks,
        predicted_bg_nbd: validation.sum(|group| group.predicted_bg_nbd),
        predicted_mbg_nbd: validation.sum(|group| group.predicted_mbg_nbd),
        predicted_pareto_nbd: validation.sum(|group| group.predicted_pareto_nbd),
        actual: validation.actual(),
        groups: validation.groups.iter().map(group).collect(),
    }
}
