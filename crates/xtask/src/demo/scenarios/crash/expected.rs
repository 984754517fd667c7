//! What must have come of an import, computed from the history alone.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use contracts::segmentation::v1::CustomerValue;
use time::Date;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::demo::evaluate::CALIBRATION_END;
use crate::demo::history::{History, Row};
use crate::demo::import;
use crate::demo::logs::Recorded;
use crate::demo::service::{PerService, Service};

const SEED: u64 = 9;

/// Somebody with all that was bought.
#[derive(Debug, Clone)]
pub(super) struct Customer {
    pub(super) id: String,
    pub(super) first_day: Date,
    pub(super) rows: Vec<Row>,
}

/// Some of the history's customers, drawn always the same, in parts of equal size.
pub(super) fn parts(history: &History, count: usize, size: usize) -> Vec<Vec<Customer>> {
    let mut drawn: Vec<(&str, Date)> = history.customers().into_iter().collect();
    drawn.sort_by_key(|(id, _)| xxh3_64_with_seed(id.as_bytes(), SEED));
    let customer = |(id, first_day): &(&str, Date)| {
        let rows = history.rows.iter().filter(|row| row.customer == *id);
        Customer {
            id: (*id).to_owned(),
            first_day: *first_day,
            rows: rows.cloned().collect(),
        }
    };
    let parts = drawn.chunks(size).take(count);
    parts
        .map(|part| part.iter().map(customer).collect())
        .collect()
}

/// What segmentation measures of a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measures {
    purchases: u32,
    purchase_days: u32,
    monetary_minor: i64,
}

/// What those who bought after the calibration did, of those who are asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Bought {
    pub(super) customers: u32,
    pub(super) buyers: u32,
    pub(super) purchases: u32,
    pub(super) revenue_minor: i64,
}

/// The truth about customers that were imported.
pub(super) struct Expected {
    pub(super) customers: Vec<Customer>,
}

impl Expected {
    pub(super) fn of(customers: &[Customer]) -> Self {
        Self {
            customers: customers.to_vec(),
        }
    }

    /// Events in each log by type, before the campaign starts.
    pub(super) fn event_counts(&self) -> PerService<BTreeMap<String, u64>> {
        let customers = self.customers.len();
        let consents = self.customers.iter().filter(|it| import::consents(&it.id));
        let rows: usize = self.customers.iter().map(|it| it.rows.len()).sum();
        let bought = self.customers.iter().filter(|it| !it.rows.is_empty());
        let came_back = self.customers.iter().filter(|it| it.days().len() > 1);
        let counts: PerService<Vec<(&str, usize)>> = PerService {
            customers: vec![
                ("CustomerRegistered", customers),
                ("IdentifierAdded", customers),
                ("IdentifierClaimed", customers),
                ("ConsentRecorded", consents.count()),
                // Long ago they bought, and then fell silent and were lost.
                ("LifecycleStageChanged", 3 * bought.count()),
            ],
            interactions: vec![("PurchaseRecorded", rows)],
            segmentation: vec![
                ("SegmentDefined", 1),
                ("SegmentNameClaimed", 1),
                ("SegmentEntered", came_back.count()),
            ],
            campaigns: vec![("CampaignCreated", 1)],
        };
        let of = |service: Service| {
            let counts = counts.of(service).iter();
            let full = counts.map(|(type_, count)| {
                let name = format!("vefa.{}.v1.{type_}", service.name());
                (name, *count as u64)
            });
            full.collect()
        };
        PerService {
            customers: of(Service::Customers),
            interactions: of(Service::Interactions),
            segmentation: of(Service::Segmentation),
            campaigns: of(Service::Campaigns),
        }
    }

    /// Every row once, in order.
    pub(super) fn purchases(
        &self,
        ids: &BTreeMap<String, String>,
    ) -> anyhow::Result<Vec<Recorded>> {
        let mut purchases = Vec::new();
        for customer in &self.customers {
            for row in &customer.rows {
                let sent = import::purchase(row, id_of(customer, ids)?);
                let occurred = sent.occurred_time.context("every row has a day")?;
                purchases.push((
                    sent.source_id,
                    sent.customer_id,
                    occurred.seconds,
                    row.amount_minor,
                ));
            }
        }
        purchases.sort();
        Ok(purchases)
    }

    /// By the customers' ids in Vefa.
    pub(super) fn measures(
        &self,
        ids: &BTreeMap<String, String>,
    ) -> anyhow::Result<BTreeMap<String, Measures>> {
        let measures = |customer: &Customer| {
            let measures = Measures {
                purchases: u32::try_from(customer.rows.len())?,
                purchase_days: u32::try_from(customer.days().len())?,
                monetary_minor: customer.rows.iter().map(|row| row.amount_minor).sum(),
            };
            Ok((id_of(customer, ids)?, measures))
        };
        self.customers.iter().map(measures).collect()
    }

    /// Ids in Vefa of those who bought on more than one day.
    pub(super) fn members(
        &self,
        ids: &BTreeMap<String, String>,
    ) -> anyhow::Result<BTreeSet<String>> {
        let came_back = self.customers.iter().filter(|it| it.days().len() > 1);
        came_back.map(|customer| id_of(customer, ids)).collect()
    }

    /// Those who had bought on more than one day by the end of calibration, apart by consent: what they bought then.
    pub(super) fn bought_since_calibration(&self, consented: bool) -> Bought {
        let mut bought = Bought::default();
        let end = CALIBRATION_END.date();
        for customer in &self.customers {
            let days_before = customer.days().into_iter().filter(|day| *day <= end);
            if days_before.count() < 2 || import::consents(&customer.id) != consented {
                continue;
            }
            let since: Vec<&Row> = customer.rows.iter().filter(|row| row.day > end).collect();
            bought.customers += 1;
            bought.buyers += u32::from(!since.is_empty());
            bought.purchases += since.len() as u32;
            bought.revenue_minor += since.iter().map(|row| row.amount_minor).sum::<i64>();
        }
        bought
    }
}

impl Customer {
    fn days(&self) -> BTreeSet<Date> {
        self.rows.iter().map(|row| row.day).collect()
    }
}

fn id_of(customer: &Customer, ids: &BTreeMap<String, String>) -> anyhow::Result<String> {
    let id = ids.get(&customer.id);
    Ok(id
        .with_context(|| format!("the registration of {} was never answered", customer.id))?
        .clone())
}

/// What segmentation says, in the same form.
pub(super) fn measured(values: BTreeMap<String, CustomerValue>) -> BTreeMap<String, Measures> {
    let measures = |value: &CustomerValue| Measures {
        purchases: value.purchases,
        purchase_days: value.purchase_days,
        monetary_minor: value.monetary_minor,
    };
    values
        .iter()
        .map(|(id, value)| (id.clone(), measures(value)))
        .collect()
}
