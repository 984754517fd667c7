//! What the test has put into Vefa, and whether all of it is there.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use async_nats::jetstream;
use contracts::customers::v1::GetCustomerRequest;
use contracts::interactions::v1::{ListTimelineRequest, PurchaseKind};
use contracts::segmentation::v1::GetCustomerValueRequest;
use tokio::time::{Instant, sleep};
use tonic::Code;

use super::project::{Project, TENANT};
use crate::demo::client::Clients;
use crate::demo::service::Service;
use crate::torture::command::{Command, Done};
use crate::torture::requests;

/// How long anything may take, recovery from a crash included: a lease is good for 10 s.
pub(super) const LIMIT: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(100);

/// A customer that was acknowledged.
#[derive(Debug, Clone)]
struct Registered {
    id: String,
    purchases: usize,
}

/// All that was acknowledged.
#[derive(Debug, Clone)]
pub(super) struct Data {
    token: String,
    registered: Vec<Registered>,
    /// Tokens of the last answers of customers and interactions.
    consistency: [String; 2],
    next: u64,
}

impl Data {
    /// A customer with two purchases, a segment and a campaign: each of the four logs has an event then.
    pub(super) async fn put(project: &Project) -> anyhow::Result<Self> {
        let mut data = Self {
            token: project.token(TENANT)?,
            registered: Vec::new(),
            consistency: Default::default(),
            next: 1,
        };
        let mut clients = vec![data.clients(project)?];
        data.register(&mut clients).await?;
        data.buy(&mut clients).await?;
        data.buy(&mut clients).await?;
        let segment = send(&mut clients, &requests::segment("regulars")).await?;
        let campaign = requests::campaign(1, "thanks", segment.id()?.to_owned());
        send(&mut clients, &campaign).await?;
        data.is_read(&mut clients[0]).await?;
        Ok(data)
    }

    /// Of the first replica of each service, at the addresses that they have now.
    pub(super) fn clients(&self, project: &Project) -> anyhow::Result<Clients> {
        Clients::at(&project.addresses()?, Some(&self.token))
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// A new customer, by whichever of these clients is answered.
    pub(super) async fn register(&mut self, clients: &mut [Clients]) -> anyhow::Result<()> {
        self.next += 1;
        let request_id = format!("customer-{}", self.next);
        let done = send(clients, &requests::register(self.next, &request_id, None)).await?;
        self.registered.push(Registered {
            id: done.id()?.to_owned(),
            purchases: 0,
        });
        self.consistency[0] = done.token;
        Ok(())
    }

    /// A purchase by the customer who came last.
    pub(super) async fn buy(&mut self, clients: &mut [Clients]) -> anyhow::Result<()> {
        self.next += 1;
        let customer = self.registered.last_mut().context("a customer")?;
        let source_id = format!("purchase-{}", self.next);
        let kind = PurchaseKind::Purchase;
        let purchase = requests::purchase(self.next, &source_id, customer.id.clone(), kind);
        let done = send(clients, &purchase).await?;
        customer.purchases += 1;
        self.consistency[1] = done.token;
        Ok(())
    }

    /// Whether everything that was acknowledged is answered, by the services that were told of it over the bus as well.
    async fn is_read(&self, clients: &mut Clients) -> anyhow::Result<()> {
        let everything = self.consistency.join(" ");
        for Registered { id, purchases } in &self.registered {
            let request = GetCustomerRequest {
                customer_id: id.clone(),
                as_of: None,
            };
            clients
                .customers
                .get_customer(request)
                .await
                .with_context(|| format!("customer {id}"))?;
            let request = ListTimelineRequest {
                customer_id: id.clone(),
                consistency_token: everything.clone(),
                ..ListTimelineRequest::default()
            };
            let timeline = clients.interactions.list_timeline(request).await;
            let timeline = timeline.with_context(|| format!("the timeline of {id}"))?;
            let found = timeline.get_ref().entries.len();
            ensure!(
                found == *purchases,
                "{found} of {purchases} purchases in the timeline of {id}"
            );
            let request = GetCustomerValueRequest {
                customer_id: id.clone(),
                as_of: None,
                consistency_token: everything.clone(),
            };
            let value = clients.segmentation.get_customer_value(request).await;
            let value = value.with_context(|| format!("the value of {id}"))?;
            let measured = value.get_ref().value.as_ref().map(|value| value.purchases);
            ensure!(
                measured == u32::try_from(*purchases).ok(),
                "{measured:?} of {purchases} purchases of {id} are measured"
            );
        }
        Ok(())
    }

    /// What was acknowledged since `then` is gone. Numbers are not used again.
    pub(super) fn is_again(&mut self, then: Self) {
        *self = Self {
            next: self.next,
            ..then
        };
    }

    /// Whether the streams come as far as the logs.
    pub(super) async fn is_published(&self, project: &Project) -> anyhow::Result<()> {
        published(project, &self.clients(project)?).await
    }

    /// Whether the logs hold what was acknowledged, once, all of it is read, and the streams have come as far as the logs.
    pub(super) async fn is_whole(&self, project: &Project) -> anyhow::Result<()> {
        let mut clients = self.clients(project)?;
        self.is_read(&mut clients).await?;
        // A customer with one identifier: registered, added, claimed. Of the other tenant there is one more. Whoever has bought is active.
        let bought = self.registered.iter().filter(|one| one.purchases > 0);
        let expected = 3 * (self.registered.len() as u64 + 1) + bought.count() as u64;
        let found = clients.heads(Service::Customers).await?.events;
        ensure!(
            found == expected,
            "customers has {found} events instead of {expected}"
        );
        let purchases: usize = self.registered.iter().map(|one| one.purchases).sum();
        let found = clients.heads(Service::Interactions).await?.events;
        ensure!(
            found == purchases as u64,
            "interactions has {found} events instead of {purchases}"
        );
        println!(
            "    {} customers with {purchases} purchases",
            self.registered.len()
        );
        published(project, &clients).await
    }
}

/// Waits until each stream has as many messages as its log has events.
async fn published(project: &Project, clients: &Clients) -> anyhow::Result<()> {
    let nats = async_nats::ConnectOptions::new()
        .user_and_password("vefa".to_owned(), project.secret("nats.password")?)
        .connect(project.nats_address()?)
        .await
        .context("connecting to NATS as the services do")?;
    let jetstream = jetstream::new(nats);
    for service in Service::ALL {
        let deadline = Instant::now() + LIMIT;
        loop {
            let events = clients.heads(service).await?.events;
            let stream = jetstream.get_stream(service.name().to_uppercase()).await;
            let messages = stream.context("looking up a stream")?;
            let messages = messages.cached_info().state.messages;
            if messages == events {
                break;
            }
            if Instant::now() > deadline {
                bail!(
                    "{} has published {messages} of {events} events after {LIMIT:?}",
                    service.name()
                );
            }
            sleep(POLL).await;
        }
    }
    Ok(())
}

/// Sends the same command, to one client after the other, until it is acknowledged. A refusal is a failure; no answer is none.
pub(super) async fn send(clients: &mut [Clients], command: &Command) -> anyhow::Result<Done> {
    let deadline = Instant::now() + LIMIT;
    for attempt in 0.. {
        let client = attempt % clients.len();
        let sent = command
            .clone()
            .send(&mut clients[client], "compose", PATIENCE);
        let status = match tokio::time::timeout(PATIENCE, sent).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(status)) => status,
            Err(_) => tonic::Status::deadline_exceeded("no answer"),
        };
        let unknown = [
            Code::Unavailable,
            Code::DeadlineExceeded,
            Code::Cancelled,
            Code::Unknown,
            Code::Aborted,
        ];
        if !unknown.contains(&status.code()) || Instant::now() > deadline {
            return Err(status).context("a command");
        }
        sleep(POLL).await;
    }
    unreachable!("the loop ends by an answer or at the deadline")
}
