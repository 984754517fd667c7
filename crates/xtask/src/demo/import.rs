//! The history goes in through the gRPC APIs: customers, their consents, their purchases.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, bail, ensure};
use contracts::customers::v1::{
    Channel, CustomerKind, Identifier, IdentifierType, LegalBasis, ListCustomersRequest, Profile,
    Purpose, RecordConsentRequest, RegisterCustomerRequest,
};
use contracts::interactions::v1::{
    ImportOutcome, ImportPurchasesRequest, Purchase, PurchaseKind, PurchaseLine,
};
use futures::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use prost_types::Timestamp;
use time::macros::time;
use time::{Date, Time};
use tonic::Status;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::client::Clients;
use super::history::{History, Row};
use super::service::Service;

/// Where customers and purchases come from.
const SOURCE: &str = "cdnow";
/// The share of customers who consent to e-mail, and the seed that chooses them.
const CONSENT_SHARE: f64 = 0.7;
const CONSENT_SEED: u64 = 1997;
const IN_FLIGHT: usize = 64;
const PAGE: i32 = 1000;
/// Refusals that are kept to be shown.
const REFUSALS_KEPT: usize = 5;

/// What the services answered to an import of the whole history.
#[derive(Debug, Clone)]
pub(crate) struct Imported {
    /// Vefa's id of each customer, by the id in the history.
    pub(crate) customer_ids: BTreeMap<String, String>,
    /// Consents that were sent.
    pub(crate) consents: usize,
    /// Purchases recorded now.
    pub(crate) recorded: u64,
    /// Purchases that were there already.
    pub(crate) duplicates: u64,
    /// Purchases that were refused.
    pub(crate) rejected: u64,
    /// The first refusals in the services' words.
    pub(crate) refusals: Vec<String>,
}

/// Registers every customer, and sends the consent of those who give it. Every request has an id of its
/// own that is always the same, so that a repeat changes nothing.
pub(crate) async fn customers(
    clients: &Clients,
    history: &History,
) -> anyhow::Result<(BTreeMap<String, String>, usize)> {
    let customers = history.customers();
    let bar = progress_bar(customers.len(), "customers")?;
    let registered: Vec<(String, String, bool)> = stream::iter(customers)
        .map(|(id, first_day)| register(clients.clone(), id, first_day))
        .buffer_unordered(IN_FLIGHT)
        .inspect_ok(|_| bar.inc(1))
        .try_collect()
        .await?;
    bar.finish_and_clear();
    let consents = registered.iter().filter(|(_, _, gave)| *gave).count();
    let ids = registered.into_iter().map(|(from, to, _)| (from, to));
    Ok((ids.collect(), consents))
}

async fn register(
    mut clients: Clients,
    id: &str,
    first_day: Date,
) -> anyhow::Result<(String, String, bool)> {
    let answer = clients
        .customers
        .register_customer(registration(id, first_day))
        .await;
    let customer_id = answer
        .with_context(|| format!("registering customer {id}"))?
        .into_inner()
        .customer_id;
    let consents = consents(id);
    if consents {
        let request = consent(id, customer_id.clone(), first_day);
        let answer = clients.customers.record_consent(request).await;
        answer.with_context(|| format!("recording the consent of customer {id}"))?;
    }
    Ok((id.to_owned(), customer_id, consents))
}

/// Registers a customer who is known from the day of the first purchase.
pub(super) fn registration(id: &str, first_day: Date) -> RegisterCustomerRequest {
    RegisterCustomerRequest {
        request_id: format!("{SOURCE}-register-{id}"),
        kind: CustomerKind::Person.into(),
        // The data set has no names, so none are invented.
        profile: Some(Profile {
            given_name: "Customer".to_owned(),
            family_name: id.to_owned(),
            ..Profile::default()
        }),
        identifiers: vec![Identifier {
            r#type: IdentifierType::External.into(),
            value: id.to_owned(),
            system: SOURCE.to_owned(),
        }],
        registered_time: Some(at(first_day, Time::MIDNIGHT)),
        ..RegisterCustomerRequest::default()
    }
}

/// The consent of a customer, given on the day of the first purchase.
pub(super) fn consent(id: &str, customer_id: String, first_day: Date) -> RecordConsentRequest {
    RecordConsentRequest {
        request_id: format!("{SOURCE}-consent-{id}"),
        customer_id,
        channel: Channel::Email.into(),
        purpose: Purpose::Marketing.into(),
        legal_basis: LegalBasis::Consent.into(),
        wording_version: "demo-1".to_owned(),
        source: "demo".to_owned(),
        given_time: Some(at(first_day, Time::MIDNIGHT)),
        evidence_reference: String::new(),
        validate_only: false,
        expire_time: None,
    }
}

/// The same answer for the same customer, always.
pub(super) fn consents(id: &str) -> bool {
    let draw = xxh3_64_with_seed(id.as_bytes(), CONSENT_SEED);
    // The upper 53 bits as a number in [0, 1).
    let draw = (draw >> 11) as f64 / (1_u64 << 53) as f64;
    draw < CONSENT_SHARE
}

/// Imports every purchase as history that is loaded later, in one stream.
pub(crate) async fn purchases(
    clients: &Clients,
    history: &History,
    (customer_ids, consents): (BTreeMap<String, String>, usize),
) -> anyhow::Result<Imported> {
    let requests = history
        .rows
        .iter()
        .map(|row| request(row, &customer_ids))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let bar = progress_bar(requests.len(), "purchases")?;
    let mut interactions = clients.interactions.clone();
    let mut answers = interactions
        .import_purchases(stream::iter(requests))
        .await
        .context("importing purchases")?
        .into_inner();
    let mut outcomes: HashMap<ImportOutcome, u64> = HashMap::new();
    let mut refusals = Vec::new();
    for row in &history.rows {
        let answer = answers.message().await.context("importing purchases")?;
        let answer = answer.context("the import ended before all rows were answered")?;
        ensure!(
            answer.row == u64::from(row.line),
            "row {} was answered when it was the turn of row {}",
            answer.row,
            row.line
        );
        let outcome = answer.outcome();
        *outcomes.entry(outcome).or_default() += 1;
        if outcome == ImportOutcome::Refused && refusals.len() < REFUSALS_KEPT {
            let status = Status::new(answer.code.into(), answer.message);
            refusals.push(format!(
                "row {}: {}: {}",
                answer.row,
                status.code(),
                status.message()
            ));
        }
        bar.inc(1);
    }
    if let Some(answer) = answers.message().await.context("ending the import")? {
        bail!("row {} was answered more than once", answer.row);
    }
    bar.finish_and_clear();
    let count = |outcome| outcomes.get(&outcome).copied().unwrap_or(0);
    Ok(Imported {
        customer_ids,
        consents,
        recorded: count(ImportOutcome::Recorded),
        duplicates: count(ImportOutcome::Duplicate),
        rejected: count(ImportOutcome::Refused),
        refusals,
    })
}

/// How many customers the customers service lists.
pub(crate) async fn count_customers(clients: &Clients) -> anyhow::Result<u64> {
    let consistency_token = clients.heads(Service::Customers).await?.token;
    let mut listed = BTreeSet::new();
    let mut page_token = String::new();
    loop {
        let request = ListCustomersRequest {
            page_size: PAGE,
            page_token,
            consistency_token: consistency_token.clone(),
            ..ListCustomersRequest::default()
        };
        let page = clients.customers.clone().list_customers(request).await;
        let page = page.context("listing customers")?.into_inner();
        let ids = page.customers.into_iter();
        listed.extend(ids.map(|customer| customer.customer_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(listed.len() as u64);
        }
    }
}

fn request(
    row: &Row,
    customer_ids: &BTreeMap<String, String>,
) -> anyhow::Result<ImportPurchasesRequest> {
    let customer_id = customer_ids.get(&row.customer);
    let customer_id =
        customer_id.with_context(|| format!("customer {} is not registered", row.customer))?;
    Ok(ImportPurchasesRequest {
        row: row.line.into(),
        purchase: Some(purchase(row, customer_id.clone())),
    })
}

/// The purchase that a row tells of.
pub(super) fn purchase(row: &Row, customer_id: String) -> Purchase {
    Purchase {
        source: SOURCE.to_owned(),
        source_id: row.line.to_string(),
        customer_id,
        kind: PurchaseKind::Purchase.into(),
        // The data set knows the day only.
        occurred_time: Some(at(row.day, time!(12:00))),
        currency_code: "USD".to_owned(),
        lines: vec![PurchaseLine {
            sku: String::new(),
            category: "cd".to_owned(),
            quantity: row.quantity,
            amount_minor: row.amount_minor,
            margin_minor: None,
        }],
        channel: "web".to_owned(),
        backfill: true,
    }
}

fn at(day: Date, time: Time) -> Timestamp {
    Timestamp {
        seconds: day.with_time(time).assume_utc().unix_timestamp(),
        nanos: 0,
    }
}

fn progress_bar(length: usize, what: &'static str) -> anyhow::Result<ProgressBar> {
    let template = "    {bar:40.cyan/dim} {human_pos}/{human_len} {msg}, {per_sec}, {eta} left";
    let style = ProgressStyle::with_template(template).context("the progress bar's template")?;
    let bar = ProgressBar::new(length as u64).with_style(style);
    Ok(bar.with_message(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consent_is_drawn_for_about_the_share_and_always_the_same() {
        let gave = |n: u32| consents(&format!("{n:05}"));
        let share = (0..10_000).filter(|n| gave(*n)).count() as f64 / 10_000.0;
        assert!((share - CONSENT_SHARE).abs() < 0.02, "{share}");
        assert_eq!((gave(4), gave(21)), (gave(4), gave(21)));
    }

    #[test]
    fn two_equal_orders_of_a_day_stay_two() {
        let history = History::read().unwrap();
        let ids = history
            .customers()
            .into_keys()
            .map(|id| (id.to_owned(), format!("id of {id}")))
            .collect();
        let keys: std::collections::BTreeSet<String> = history
            .rows
            .iter()
            .map(|row| request(row, &ids).unwrap().purchase.unwrap().source_id)
            .collect();
        assert_eq!(keys.len(), history.rows.len());
    }
}
