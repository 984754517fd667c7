//! A client that sends a part of the history, keeps a ledger of what it was answered, and sends it again.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use contracts::interactions::v1::{ImportOutcome, ImportPurchasesRequest};
use futures::{StreamExt, stream};
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::expected::Customer;
use crate::demo::client::Clients;
use crate::demo::history::Row;
use crate::demo::import;

/// Customers whose requests are under way at the same time.
const IN_FLIGHT: usize = 16;
/// How long all of them together may go without any answer.
const SILENCE_LIMIT: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(100);

/// What is sent; in a repeat, with the same id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    Registration(String),
    Consent(String),
    /// By the number of its row.
    Purchase(u32),
}

/// What the client knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It was done, and this names what was done, the same in every repeat.
    Acknowledged { names: String, is_repeat: bool },
    /// A clear no.
    Refused(String),
    /// No answer, or one that leaves open whether it was done.
    Unknown(String),
}

/// By item. What was never sent, because something before it was not acknowledged, is not in it.
pub(super) type Ledger = BTreeMap<Item, Answer>;

/// Sends everything, some of it at the same time, and calls `at_half` as soon as half of it is answered, while more
/// is under way. Goes on to the end, whatever is answered.
pub(super) async fn send(
    clients: &Clients,
    part: &[Customer],
    at_half: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Ledger> {
    let half = items(part).count() / 2;
    let mut at_half = Some(at_half);
    let mut ledger = Ledger::new();
    let customers = stream::iter(part).map(|customer| send_one(clients.clone(), customer));
    let mut answers = pin!(customers.buffer_unordered(IN_FLIGHT));
    loop {
        let answered = timeout(SILENCE_LIMIT, answers.next()).await;
        let Some(answered) = answered.context("nothing was answered any more")? else {
            return Ok(ledger);
        };
        ledger.extend(answered);
        if ledger.len() >= half
            && let Some(at_half) = at_half.take()
        {
            at_half()?;
        }
    }
}

/// Sends everything again and again until all of it is acknowledged. What is in `before` must be answered as it
/// was there.
pub(super) async fn send_until_complete(
    clients: &Clients,
    part: &[Customer],
    before: &Ledger,
    limit: Duration,
) -> anyhow::Result<Ledger> {
    let deadline = Instant::now() + limit;
    let mut known = before.clone();
    loop {
        let ledger = send(clients, part, || Ok(())).await?;
        none_refused(&ledger)?;
        agree(&known, &ledger)?;
        if is_complete(&ledger, part) {
            return Ok(ledger);
        }
        if Instant::now() > deadline {
            let open: Vec<_> = ledger.iter().filter(|(_, it)| !it.is_yes()).collect();
            bail!("after {limit:?} not all is acknowledged: {open:?}");
        }
        known.extend(ledger.into_iter().filter(|(_, answer)| answer.is_yes()));
        sleep(PAUSE).await;
    }
}

/// Fails when something was refused: all of it is good.
pub(super) fn none_refused(ledger: &Ledger) -> anyhow::Result<()> {
    for (item, answer) in ledger {
        if let Answer::Refused(reason) = answer {
            bail!("{item:?} was refused: {reason}");
        }
    }
    Ok(())
}

pub(super) fn is_complete(ledger: &Ledger, part: &[Customer]) -> bool {
    items(part).all(|item| ledger.get(&item).is_some_and(Answer::is_yes))
}

/// Vefa's id of each customer, by the id in the history.
pub(super) fn customer_ids(ledger: &Ledger) -> BTreeMap<String, String> {
    let ids = ledger
        .iter()
        .filter_map(|(item, answer)| match (item, answer) {
            (Item::Registration(id), Answer::Acknowledged { names, .. }) => {
                Some((id.clone(), names.clone()))
            }
            _ => None,
        });
    ids.collect()
}

fn items(part: &[Customer]) -> impl Iterator<Item = Item> {
    part.iter().flat_map(|customer| {
        let id = &customer.id;
        let consent = import::consents(id).then(|| Item::Consent(id.clone()));
        let purchases = customer.rows.iter().map(|row| Item::Purchase(row.line));
        std::iter::once(Item::Registration(id.clone()))
            .chain(consent)
            .chain(purchases)
    })
}

/// What was acknowledged once is there: it is named the same, and a purchase is known to be a repeat.
fn agree(before: &Ledger, after: &Ledger) -> anyhow::Result<()> {
    for (item, answer) in before {
        let (
            Answer::Acknowledged { names, .. },
            Some(Answer::Acknowledged {
                names: now,
                is_repeat,
            }),
        ) = (answer, after.get(item))
        else {
            continue;
        };
        ensure!(
            names == now,
            "{item:?} was {names} at first and is {now} now"
        );
        ensure!(
            *is_repeat || !matches!(item, Item::Purchase(_)),
            "{item:?} was acknowledged, and lost: it was recorded a second time"
        );
    }
    Ok(())
}

/// One customer's requests, one after the other, until one is not acknowledged.
async fn send_one(mut clients: Clients, customer: &Customer) -> Ledger {
    let mut ledger = Ledger::new();
    let Customer { id, first_day, .. } = customer;
    let registration = import::registration(id, *first_day);
    let answer = clients.customers.register_customer(registration).await;
    let answer = Answer::of(answer.map(|answer| answer.into_inner().customer_id));
    ledger.insert(Item::Registration(id.clone()), answer.clone());
    let Answer::Acknowledged {
        names: customer_id, ..
    } = answer
    else {
        return ledger;
    };
    if import::consents(id) {
        let consent = import::consent(id, customer_id.clone(), *first_day);
        let answer = clients.customers.record_consent(consent).await;
        let answer = Answer::of(answer.map(|answer| answer.into_inner().etag));
        let is_yes = answer.is_yes();
        ledger.insert(Item::Consent(id.clone()), answer);
        if !is_yes {
            return ledger;
        }
    }
    if let Err(status) = send_purchases(&mut clients, customer, customer_id, &mut ledger).await {
        // The stream broke: of the rows that it left unanswered nobody knows.
        for row in &customer.rows {
            let item = Item::Purchase(row.line);
            ledger.entry(item).or_insert_with(|| Answer::no(&status));
        }
    }
    ledger
}

async fn send_purchases(
    clients: &mut Clients,
    customer: &Customer,
    customer_id: String,
    ledger: &mut Ledger,
) -> Result<(), Status> {
    let request = |row: &Row| ImportPurchasesRequest {
        row: u64::from(row.line),
        purchase: Some(import::purchase(row, customer_id.clone())),
    };
    let requests: Vec<_> = customer.rows.iter().map(request).collect();
    let answers = clients
        .interactions
        .import_purchases(stream::iter(requests));
    let mut answers = answers.await?.into_inner();
    for row in &customer.rows {
        let answer = answers.message().await?;
        let answer = answer.ok_or_else(|| Status::internal("the import ended too early"))?;
        let outcome = answer.outcome();
        let answer = match outcome {
            ImportOutcome::Recorded | ImportOutcome::Duplicate => Answer::Acknowledged {
                names: answer.purchase_id,
                is_repeat: outcome == ImportOutcome::Duplicate,
            },
            ImportOutcome::Refused if is_open(answer.code.into()) => {
                Answer::Unknown(answer.message)
            }
            ImportOutcome::Refused | ImportOutcome::Unspecified => Answer::Refused(answer.message),
        };
        ledger.insert(Item::Purchase(row.line), answer);
    }
    Ok(())
}

impl Answer {
    fn of(answer: Result<String, Status>) -> Self {
        match answer {
            Ok(names) => Self::Acknowledged {
                names,
                is_repeat: false,
            },
            Err(status) => Self::no(&status),
        }
    }

    fn no(status: &Status) -> Self {
        let said = format!("{:?}: {}", status.code(), status.message());
        // What has no details of ours was not said by a service: the connection broke.
        let is_ours = status.get_details_error_info().is_some();
        if is_ours && !is_open(status.code()) {
            Self::Refused(said)
        } else {
            Self::Unknown(said)
        }
    }

    pub(super) fn is_yes(&self) -> bool {
        matches!(self, Self::Acknowledged { .. })
    }
}

/// Codes of a service that leave open whether it was done, and ask for a repeat.
fn is_open(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable | Code::DeadlineExceeded | Code::Aborted
    )
}
