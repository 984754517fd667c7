//! A client: it sends commands one after the other, some of them several times or at once, loses its patience now and then, and keeps its
//! part of the ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use contracts::customers::v1::GetCustomerRequest;
use contracts::interactions::v1::{ListTimelineRequest, PurchaseKind, timeline_entry::Interaction};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::command::{Command, Done};
use super::draw::Draw;
use super::ledger::{Answer, Expect, Ledger};
use super::requests;
use crate::demo::client::Clients;
use crate::demo::service::{PerService, Service};

/// How long a patient client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// An impatient one goes away within this time, whatever the command has come to.
const IMPATIENCE_MS: u64 = 30;
/// How often a command is sent again at most; one in a few is given up earlier.
const ATTEMPTS_MAX: u32 = 40;
/// Segments and campaigns of all clients together: each costs work with every further purchase.
const SEGMENTS_MAX: u64 = 4;
const CAMPAIGNS_MAX: u64 = 6;

/// Addresses and token of the services, and connections to them.
#[derive(Debug)]
pub(super) struct Way {
    addresses: PerService<String>,
    token: String,
    clients: Clients,
}

impl Way {
    pub(super) fn new(addresses: PerService<String>, token: String) -> anyhow::Result<Self> {
        Ok(Self {
            clients: Clients::at(&addresses, Some(&token))?,
            addresses,
            token,
        })
    }

    /// Over connections that nobody else uses.
    fn alone(&self) -> anyhow::Result<Clients> {
        Clients::at(&self.addresses, Some(&self.token))
    }
}

/// What all clients share.
#[derive(Debug)]
pub(super) struct Shared {
    /// A way to reach the services for each choice of replicas.
    ways: Vec<Way>,
    pub(super) ledger: Mutex<Ledger>,
    customers: Mutex<Vec<String>>,
    segments: Mutex<Vec<String>>,
    counter: AtomicU64,
    segments_counted: AtomicU64,
    campaigns_counted: AtomicU64,
    /// When each service last acknowledged something.
    progress: Mutex<Vec<(Service, Instant)>>,
    pub(super) stop: AtomicBool,
}

impl Shared {
    pub(super) fn new(ways: Vec<Way>) -> Self {
        Self {
            ways,
            ledger: Mutex::default(),
            customers: Mutex::default(),
            segments: Mutex::default(),
            counter: AtomicU64::new(1),
            segments_counted: AtomicU64::new(0),
            campaigns_counted: AtomicU64::new(0),
            progress: Mutex::default(),
            stop: AtomicBool::new(false),
        }
    }

    /// Whether the service has acknowledged something since then.
    pub(super) async fn has_progressed(&self, service: Service, since: Instant) -> bool {
        let progress = self.progress.lock().await;
        progress
            .iter()
            .any(|(of, moment)| *of == service && *moment > since)
    }

    async fn note(&self, mark: &str, service: Service, answer: &Answer) {
        self.ledger.lock().await.note(mark, answer);
        if matches!(answer, Answer::Acknowledged(_)) {
            let mut progress = self.progress.lock().await;
            progress.retain(|(of, _)| *of != service);
            progress.push((service, Instant::now()));
        }
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(super) async fn segment(&self) -> Option<String> {
        self.segments.lock().await.first().cloned()
    }

    /// Sends a command that is in the ledger already until it is answered one way or the other; none within the limit is a finding.
    pub(super) async fn settle(&self, mark: &str, command: Command, limit: Duration) {
        let deadline = Instant::now() + limit;
        let service = command.service();
        let mut clients = self.ways[0].clients.clone();
        loop {
            let answer = command.clone().send(&mut clients, mark, PATIENCE);
            let answer = Answer::of(answer.await);
            self.note(mark, service, &answer).await;
            match answer {
                Answer::Acknowledged(_) | Answer::Refused(_) => return,
                Answer::Unknown(said) if Instant::now() > deadline => {
                    let finding = format!("{mark}: not settled within {limit:?}: {said}");
                    return self.ledger.lock().await.complain(finding);
                }
                Answer::Unknown(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

pub(super) struct Client {
    shared: Arc<Shared>,
    draw: Draw,
}

impl Client {
    pub(super) fn new(shared: Arc<Shared>, draw: Draw) -> Self {
        Self { shared, draw }
    }

    pub(super) async fn run(mut self) {
        while !self.shared.is_over() {
            self.act().await;
            let pause = self.draw.millis(5, 50);
            sleep(pause).await;
        }
    }

    async fn act(&mut self) {
        let n = self.shared.counter.fetch_add(1, Ordering::Relaxed);
        let id = format!("c-{n}");
        let drawn = self.draw.below(100);
        let Some(customer) = self.somebody().await else {
            return self.register(n, &id).await;
        };
        match drawn {
            0..18 => self.register(n, &id).await,
            18..24 => {
                let email = requests::contested_email(n);
                let rival = Some(email.value.clone());
                let command = requests::register(n, &id, Some(email));
                self.issue(&id, command, Expect::Either, rival).await;
            }
            24..36 => self.update(n, &id, customer).await,
            36..46 => self.consent(n, &id, customer).await,
            46..66 => self.purchase(n, &id, customer).await,
            66..70 => {
                let command = requests::purchase(n, &id, customer, PurchaseKind::Return);
                self.issue(&id, command, Expect::Yes, None).await;
            }
            70..76 => {
                let command = requests::touchpoint(n, &id, customer);
                self.issue(&id, command, Expect::Yes, None).await;
            }
            76..82 => {
                let card = requests::contested_card(n);
                let rival = Some(card.value.clone());
                // Somebody new, who cannot have it already.
                let first = format!("{id}-owner");
                let registration = requests::register(n, &first, None);
                if let Some(done) = self.issue(&first, registration, Expect::Yes, None).await
                    && let Ok(owner) = done.id()
                {
                    let command = requests::add_identifier(&id, owner.to_owned(), card);
                    self.issue(&id, command, Expect::Either, rival).await;
                }
            }
            82..86 => self.twins(n, &id, customer).await,
            86..90 => self.duel(n, &id, customer).await,
            90..93 => self.segment(n).await,
            93..96 => self.campaign(n).await,
            _ => {
                // Nobody has this id, so that there is nothing to be done for it.
                let nobody = uuid::Uuid::now_v7().to_string();
                let command = requests::purchase(n, &id, nobody, PurchaseKind::Purchase);
                self.issue(&id, command, Expect::No, None).await;
            }
        }
    }

    async fn register(&mut self, n: u64, id: &str) {
        let command = requests::register(n, id, None);
        if let Some(done) = self.issue(id, command.clone(), Expect::Yes, None).await {
            if let Ok(customer) = done.id() {
                let customer = customer.to_owned();
                self.shared.customers.lock().await.push(customer);
            }
            self.repeat(id, command).await;
        }
    }

    async fn update(&mut self, n: u64, id: &str, customer: String) {
        let command = requests::update(n, id, customer.clone());
        let Some(done) = self.issue(id, command.clone(), Expect::Yes, None).await else {
            return;
        };
        self.repeat(id, command).await;
        let request = GetCustomerRequest {
            customer_id: customer,
            as_of: None,
        };
        let mut clients = self.way();
        // A query for one customer is always current, whichever replica answers it.
        if let Ok(answer) = clients.customers.get_customer(request).await {
            let etag = answer.into_inner().customer.unwrap_or_default().etag;
            let version = |etag: &str| etag.parse::<u64>().unwrap_or_default();
            let acknowledged = done.names.first().map_or(0, |etag| version(etag));
            if version(&etag) < acknowledged {
                let finding = format!("{id}: version {acknowledged} was acknowledged, {etag} read");
                self.shared.ledger.lock().await.complain(finding);
            }
        }
    }

    async fn consent(&mut self, n: u64, id: &str, customer: String) {
        let command = requests::consent(n, id, customer.clone());
        if self.issue(id, command, Expect::Yes, None).await.is_some() && self.draw.percent(40) {
            let id = format!("{id}-withdrawn");
            let command = requests::withdraw(n, &id, customer);
            self.issue(&id, command, Expect::Yes, None).await;
        }
    }

    async fn purchase(&mut self, n: u64, id: &str, customer: String) {
        let command = requests::purchase(n, id, customer.clone(), PurchaseKind::Purchase);
        let Some(done) = self.issue(id, command.clone(), Expect::Yes, None).await else {
            return;
        };
        self.repeat(id, command).await;
        if !self.draw.percent(20) {
            return;
        }
        let request = ListTimelineRequest {
            customer_id: customer,
            page_size: 1000,
            consistency_token: done.token,
            ..ListTimelineRequest::default()
        };
        let mut clients = self.way();
        if let Ok(answer) = clients.interactions.list_timeline(request).await {
            let answer = answer.into_inner();
            let shows = answer.entries.iter().any(|entry| match &entry.interaction {
                Some(Interaction::Purchase(purchase)) => purchase.source_id == id,
                Some(Interaction::Touchpoint(_)) | None => false,
            });
            if !shows && answer.next_page_token.is_empty() {
                let finding = format!("{id}: a read with its token does not show it");
                self.shared.ledger.lock().await.complain(finding);
            }
        }
    }

    /// Sends again, now and then, what was acknowledged; and now and then something else under its id.
    async fn repeat(&mut self, id: &str, command: Command) {
        if self.draw.percent(15) {
            self.attempt(id, command.clone()).await;
        }
        if self.draw.percent(10)
            && let Some(other) = altered(command)
        {
            let mark = format!("{id}-altered");
            self.issue(&mark, other, Expect::No, None).await;
        }
    }

    /// The same twice at once.
    async fn twins(&mut self, n: u64, id: &str, customer: String) {
        let command = if self.draw.percent(50) {
            requests::update(n, id, customer)
        } else {
            requests::purchase(n, id, customer, PurchaseKind::Purchase)
        };
        self.enter(id, &command, Expect::Yes, None).await;
        let mut other = Self::new(Arc::clone(&self.shared), self.draw.fork());
        tokio::join!(
            self.attempt(id, command.clone()),
            other.attempt(id, command.clone())
        );
        self.insist(id, command).await;
    }

    /// Two contents under one id at once: one of them at most is taken.
    async fn duel(&mut self, n: u64, id: &str, customer: String) {
        let command = if self.draw.percent(50) {
            requests::update(n, id, customer)
        } else {
            requests::purchase(n, id, customer, PurchaseKind::Purchase)
        };
        let Some(second) = altered(command.clone()) else {
            return;
        };
        let mark = format!("{id}-altered");
        let rival = Some(id.to_owned());
        self.enter(id, &command, Expect::Either, rival.clone())
            .await;
        self.enter(&mark, &second, Expect::Either, rival).await;
        let mut other = Self::new(Arc::clone(&self.shared), self.draw.fork());
        tokio::join!(self.attempt(id, command), other.attempt(&mark, second));
    }

    async fn segment(&mut self, n: u64) {
        let count = self.shared.segments_counted.fetch_add(1, Ordering::Relaxed);
        if count >= SEGMENTS_MAX {
            return;
        }
        let id = format!("s-{n}");
        let command = requests::segment(&id);
        if let Some(done) = self.issue(&id, command, Expect::Yes, None).await
            && let Ok(segment) = done.id()
        {
            let segment = segment.to_owned();
            self.shared.segments.lock().await.push(segment);
        }
    }

    async fn campaign(&mut self, n: u64) {
        let Some(segment) = self.shared.segment().await else {
            return;
        };
        let counted = &self.shared.campaigns_counted;
        if counted.fetch_add(1, Ordering::Relaxed) >= CAMPAIGNS_MAX {
            return;
        }
        let id = format!("k-{n}");
        let command = requests::campaign(n, &id, segment);
        if let Some(done) = self.issue(&id, command, Expect::Yes, None).await
            && let Ok(campaign) = done.id()
        {
            let id = format!("{id}-started");
            let command = requests::start(&id, campaign.to_owned());
            self.issue(&id, command, Expect::Yes, None).await;
        }
    }

    /// Enters a command and sends it until it is answered or given up.
    async fn issue(
        &mut self,
        mark: &str,
        command: Command,
        expect: Expect,
        rival: Option<String>,
    ) -> Option<Done> {
        self.enter(mark, &command, expect, rival).await;
        self.insist(mark, command).await
    }

    async fn enter(&self, mark: &str, command: &Command, expect: Expect, rival: Option<String>) {
        let mut ledger = self.shared.ledger.lock().await;
        ledger.enter(mark, command.clone(), expect, rival);
    }

    async fn insist(&mut self, mark: &str, command: Command) -> Option<Done> {
        for _ in 0..ATTEMPTS_MAX {
            match self.attempt(mark, command.clone()).await {
                Answer::Acknowledged(done) => return Some(done),
                Answer::Refused(_) => return None,
                Answer::Unknown(_) if self.shared.is_over() || self.draw.percent(15) => {
                    return None;
                }
                Answer::Unknown(_) => {
                    let pause = self.draw.millis(10, 300);
                    sleep(pause).await;
                }
            }
        }
        None
    }

    /// Sends a command once. One in a few goes away before the answer, some of them with their connection.
    async fn attempt(&mut self, mark: &str, command: Command) -> Answer {
        let service = command.service();
        let mut clients = self.way();
        let patience = if self.draw.percent(12) {
            if self.draw.percent(20)
                && let Ok(alone) = self.shared.ways[0].alone()
            {
                clients = alone;
            }
            self.draw.millis(0, IMPATIENCE_MS)
        } else {
            PATIENCE
        };
        let sent = command.send(&mut clients, mark, PATIENCE);
        let answer = match timeout(patience, sent).await {
            Ok(answer) => Answer::of(answer),
            Err(_) => Answer::Unknown("the client went away".to_owned()),
        };
        self.shared.note(mark, service, &answer).await;
        answer
    }

    fn way(&mut self) -> Clients {
        let ways = &self.shared.ways;
        let way = self.draw.one_of(ways).unwrap_or(&ways[0]);
        way.clients.clone()
    }

    async fn somebody(&mut self) -> Option<String> {
        let customers = self.shared.customers.lock().await;
        // The youngest are in demand, so that clients meet.
        let young = &customers[customers.len().saturating_sub(300)..];
        self.draw.one_of(young).cloned()
    }
}

/// Something else under the same id.
fn altered(command: Command) -> Option<Command> {
    match command {
        Command::Register(mut it) => {
            it.profile.as_mut()?.given_name.push_str(" the Other");
            Some(Command::Register(it))
        }
        Command::UpdateProfile(mut it) => {
            it.profile.as_mut()?.family_name.push_str(" the Other");
            Some(Command::UpdateProfile(it))
        }
        Command::RecordPurchase(mut it) => {
            it.purchase.as_mut()?.channel = "shop".to_owned();
            Some(Command::RecordPurchase(it))
        }
        Command::AddIdentifier(_)
        | Command::RecordConsent(_)
        | Command::WithdrawConsent(_)
        | Command::RecordTouchpoint(_)
        | Command::DefineSegment(_)
        | Command::CreateCampaign(_)
        | Command::StartCampaign(_) => None,
    }
}
