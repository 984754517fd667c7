//! Callers who do not wait for a backup: they register customers and record purchases all the time.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use anyhow::Context;
use contracts::customers::v1::RegisterCustomerRequest;
use time::macros::date;
use time::{Date, Duration};
use tokio::task::JoinSet;

use crate::demo::client::Clients;
use crate::demo::history::Row;
use crate::demo::import;
use crate::demo::scenarios::refusals::requests::{record, registration};

/// Callers at a time.
const CALLERS: usize = 3;
const DAY: Date = date!(1997 - 06 - 30);
const LATER_DAY: Date = date!(2011 - 06 - 30);

/// What was acknowledged: nothing else can be missed.
#[derive(Clone, Debug, Default)]
pub(super) struct Acknowledged {
    pub(super) customers: Vec<String>,
    /// Source ids.
    pub(super) purchases: Vec<String>,
}

/// Callers at work.
pub(super) struct Traffic {
    acknowledged: Arc<Mutex<Acknowledged>>,
    stopped: Arc<AtomicBool>,
    callers: JoinSet<anyhow::Result<()>>,
}

impl Traffic {
    /// Begins. Purchases are by these customers, who are there already, and by those who are registered meanwhile.
    pub(super) fn start(clients: &Clients, customers: &[String]) -> Self {
        let acknowledged = Arc::new(Mutex::new(Acknowledged::default()));
        let stopped = Arc::new(AtomicBool::new(false));
        let next = Arc::new(AtomicU32::new(1));
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let (clients, customers) = (clients.clone(), customers.to_vec());
            let (acknowledged, stopped) = (acknowledged.clone(), stopped.clone());
            let next = next.clone();
            callers.spawn(async move {
                while !stopped.load(Ordering::Relaxed) {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let regular = &customers[n as usize % customers.len()];
                    let customer = register(&clients, n).await?;
                    let purchases = [
                        buy(&clients, 2 * n, &customer).await?,
                        buy(&clients, 2 * n + 1, regular).await?,
                    ];
                    let mut all = acknowledged.lock().expect("nobody panics with it");
                    all.customers.push(customer);
                    all.purchases.extend(purchases);
                }
                Ok(())
            });
        }
        Self {
            acknowledged,
            stopped,
            callers,
        }
    }

    /// What is acknowledged by now.
    pub(super) fn acknowledged(&self) -> Acknowledged {
        let all = self.acknowledged.lock().expect("nobody panics with it");
        all.clone()
    }

    /// Has all callers come to their ends.
    pub(super) async fn stop(self) -> anyhow::Result<Acknowledged> {
        self.stopped.store(true, Ordering::Relaxed);
        let acknowledged = self.acknowledged;
        for ended in self.callers.join_all().await {
            ended.context("a caller was refused")?;
        }
        let all = acknowledged.lock().expect("nobody panics with it");
        Ok(all.clone())
    }
}

async fn register(clients: &Clients, n: u32) -> anyhow::Result<String> {
    let request = RegisterCustomerRequest {
        request_id: format!("during-{n}"),
        identifiers: Vec::new(),
        ..registration()
    };
    let answer = clients.customers.clone().register_customer(request).await?;
    Ok(answer.into_inner().customer_id)
}

/// Purchases from this number on are of later days than all before.
pub(super) const LATER: u32 = 10_000;

/// Records a purchase, each one of an earlier day than the one before, so that rows show it when the first of several was not applied. Returns
/// its source id.
pub(super) async fn buy(clients: &Clients, n: u32, customer: &str) -> anyhow::Result<String> {
    let line = 1_000 + n;
    let day = if n < LATER { DAY } else { LATER_DAY } - Duration::days(i64::from(n % LATER));
    let row = Row {
        line,
        customer: String::new(),
        day,
        quantity: 1,
        amount_minor: 1_000 + i64::from(n),
    };
    record(clients, import::purchase(&row, customer.to_owned())).await?;
    Ok(line.to_string())
}
