//! What customers have done and are worth.

use aggregate::CustomerId;
use contracts::segmentation::v1 as pb;
use event_log::timestamp;
use service::{Caller, command, page, status};
use tonic::Status;
use uuid::Uuid;

use super::{Api, parse};
use crate::{
    codec::tier_message,
    domain::{Fit, FitId, Tier},
    read_model::{
        histories::{self, Measures},
        mergers,
        segments::count,
        values::{self, Order, ScoreRow},
    },
};

/// Where a page ends: the fit that is listed, the last amount and the last customer.
type Cursor = (Uuid, i64, Uuid);

fn message(customer: CustomerId, measures: Measures, score: Option<ScoreRow>) -> pb::CustomerValue {
    let rfm = score.as_ref().map_or_else(String::new, |score| {
        format!(
            "{}{}{}",
            score.rfm.recency, score.rfm.frequency, score.rfm.monetary
        )
    });
    pb::CustomerValue {
        customer_id: customer.to_string(),
        first_purchase_time: measures.first_purchase_at.map(timestamp::to_proto),
        last_purchase_time: measures.last_purchase_at.map(timestamp::to_proto),
        purchases: count(measures.purchases),
        purchase_days: count(measures.purchase_days),
        monetary_minor: measures.monetary_minor,
        margin_minor: measures.margin_minor,
        rfm,
        p_alive: score.as_ref().map(|score| score.p_alive),
        expected_purchases: score.as_ref().map(|score| score.expected_purchases),
        expected_value_minor: score.as_ref().map(|score| score.expected_value_minor),
        tier: score
            .as_ref()
            .map_or(pb::Tier::Unspecified, |score| tier_message(score.tier))
            .into(),
        currency_code: measures.currency_code,
    }
}

impl Api {
    pub(super) async fn value_of(
        &self,
        caller: &Caller,
        request: &pb::GetCustomerValueRequest,
    ) -> Result<pb::GetCustomerValueResponse, Status> {
        let customer: CustomerId = parse::id("customer_id", &request.customer_id)?;
        let as_of = parse::optional_moment("as_of", request.as_of.as_ref())?.unwrap_or(caller.now);
        self.wait(caller, &request.consistency_token).await?;
        let (pool, tenant) = (self.log.pool(), &caller.tenant);
        let known = histories::is_known(pool, tenant, customer)
            .await
            .map_err(command::database)?;
        if !known {
            return Err(status::not_found("customer", &customer.to_string()));
        }
        let customer = mergers::who_goes_on(pool, tenant, customer)
            .await
            .map_err(command::database)?;
        let mut measures = histories::measures(pool, tenant, &[customer], as_of)
            .await
            .map_err(command::database)?;
        let score = values::newest_score(pool, tenant, customer, as_of)
            .await
            .map_err(command::database)?;
        let measures = measures.remove(&customer).unwrap_or_default();
        Ok(pb::GetCustomerValueResponse {
            value: Some(message(customer, measures, score)),
        })
    }

    pub(super) async fn values(
        &self,
        caller: &Caller,
        request: &pb::ListCustomerValuesRequest,
    ) -> Result<pb::ListCustomerValuesResponse, Status> {
        let order = match pb::ValueOrder::try_from(request.order) {
            Ok(pb::ValueOrder::Unspecified | pb::ValueOrder::ExpectedValue) => Order::ExpectedValue,
            Ok(pb::ValueOrder::ValueAtRisk) => Order::ValueAtRisk,
            Err(_) => return Err(status::invalid_field("order", "is not an order")),
        };
        let size = page::size(request.page_size, &self.limits)?;
        let query = page::Query::new("ListCustomerValues")
            .with(caller.tenant.as_str())
            .with(&request.fit_id)
            .with(format!("{order:?}"));
        let cursor: Option<Cursor> = query.cursor(&request.page_token)?;
        // A list of the newest fit goes on with the fit that it began with.
        let fit_id = cursor.map_or_else(|| request.fit_id.clone(), |(fit, _, _)| fit.to_string());
        let fit = self.fit_or_newest(caller, &fit_id).await?;
        let after = cursor.map(|(_, amount_minor, customer)| (amount_minor, customer));
        let mut rows = values::page(
            self.log.pool(),
            &caller.tenant,
            fit.id,
            order,
            after,
            size + 1,
        )
        .await
        .map_err(command::database)?;
        let more = rows.len() > size as usize;
        rows.truncate(size as usize);
        let next_page_token = match rows.last() {
            Some(last) if more => query.token(&cursor_of(fit.id, order, last)),
            Some(_) | None => String::new(),
        };
        let values = self.with_measures(caller, &fit, rows).await?;
        Ok(pb::ListCustomerValuesResponse {
            values,
            next_page_token,
        })
    }

    async fn with_measures(
        &self,
        caller: &Caller,
        fit: &Fit,
        rows: Vec<ScoreRow>,
    ) -> Result<Vec<pb::CustomerValue>, Status> {
        let customers: Vec<CustomerId> = rows.iter().map(|row| row.customer).collect();
        let mut measures = histories::measures(
            self.log.pool(),
            &caller.tenant,
            &customers,
            fit.calibration_end,
        )
        .await
        .map_err(command::database)?;
        let values = rows.into_iter().map(|row| {
            let measures = measures.remove(&row.customer).unwrap_or_default();
            message(row.customer, measures, Some(row))
        });
        Ok(values.collect())
    }

    pub(super) async fn tiers(
        &self,
        caller: &Caller,
        request: &pb::ListTiersRequest,
    ) -> Result<pb::ListTiersResponse, Status> {
        let fit = self.fit_or_newest(caller, &request.fit_id).await?;
        let tiers = values::tiers(self.log.pool(), &caller.tenant, fit.id)
            .await
            .map_err(command::database)?;
        let total_minor: i64 = tiers.iter().map(|(_, _, value_minor)| value_minor).sum();
        let summary = |tier: Tier| {
            let found = tiers.iter().find(|(found, _, _)| *found == tier);
            let (customers, value_minor) =
                found.map_or((0, 0), |(_, customers, value)| (*customers, *value));
            let share_of_value = if total_minor == 0 {
                0.0
            } else {
                value_minor as f64 / total_minor as f64
            };
            pb::TierSummary {
                tier: tier_message(tier).into(),
                customers: count(customers),
                expected_value_minor: value_minor,
                share_of_value,
            }
        };
        Ok(pb::ListTiersResponse {
            tiers: Tier::ALL.map(summary).to_vec(),
        })
    }
}

fn cursor_of(fit: FitId, order: Order, last: &ScoreRow) -> Cursor {
    (fit.0, order.amount_minor(last), last.customer.0)
}
