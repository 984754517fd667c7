//! A log of numbers, and what is needed to relay and follow it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aggregate::{Aggregate, CustomerId, Partition, TenantId};
use async_nats::jetstream;
use event_bus::{Bus, BusOptions, Relay, RelayOptions};
use event_log::{
    Append, DecodeError, Encoded, EventLog, FileKeyService, LogOptions, Request, Seal, SealError,
    Stored, StoredEvent, Stream, SubjectCipher, Write, append_in,
};
use futures::StreamExt as _;
use testing::{TestDatabase, TestServers};
use time::macros::datetime;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Number(pub(crate) u64);

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("never")]
pub(crate) struct Never;

impl Aggregate for Numbers {
    const TYPE: &'static str = "numbers";
    type Command = Vec<u64>;
    type Event = Number;
    type Rejection = Never;

    fn decide(&self, command: &Vec<u64>) -> Result<Vec<Number>, Never> {
        Ok(command.iter().copied().map(Number).collect())
    }

    fn evolve(&mut self, _: &Number) {}
}

impl Stored for Numbers {
    fn encode(event: &Number, _: &Seal<'_>) -> Result<Encoded, SealError> {
        Ok(Encoded {
            type_: "vefa.test.v1.NumberDrawn",
            schema_version: 1,
            payload: event.0.to_be_bytes().to_vec(),
        })
    }

    fn decode(event: &StoredEvent, _: &SubjectCipher) -> Result<Number, DecodeError> {
        number_of(event).map(Number)
    }
}

pub(crate) fn number_of(event: &StoredEvent) -> Result<u64, DecodeError> {
    let bytes = event.payload.as_ref().try_into();
    bytes
        .map(u64::from_be_bytes)
        .map_err(|_| DecodeError::invalid(event, "number"))
}

/// A log named `numbers` with its own stream, and the database that it is in.
pub(crate) struct Ground {
    pub(crate) database: TestDatabase,
    pub(crate) log: EventLog,
    pub(crate) bus: Bus,
    nats_url: String,
}

impl Ground {
    pub(crate) async fn new(label: &str) -> Self {
        Self::on(label, TestServers::from_env().unwrap().nats_url).await
    }

    /// On a NATS server of its own.
    pub(crate) async fn on(label: &str, nats_url: String) -> Self {
        let database = TestDatabase::create(label).await.unwrap();
        let log = open("numbers", &database).await;
        let options = BusOptions {
            url: nats_url.clone(),
            stream_prefix: TestServers::unique_prefix(),
            credentials_file: None,
            login: None,
            tls: None,
            request_timeout: Duration::from_secs(5),
            replicas: 1,
        };
        let bus = Bus::connect(&options).await.unwrap();
        Self {
            database,
            log,
            bus,
            nats_url,
        }
    }

    /// Appends `count` numbers to each of the first `streams` streams.
    pub(crate) async fn append(&self, streams: u128, count: u64) {
        self.append_to(0..streams, count).await;
    }

    /// Appends `count` numbers to each of these streams.
    pub(crate) async fn append_to(&self, streams: impl IntoIterator<Item = u128>, count: u64) {
        let request = request();
        let mut writes = Vec::new();
        for n in streams {
            let mut loaded = self.log.load::<Numbers>(&stream(n)).await.unwrap();
            let from = u64::try_from(loaded.version).unwrap() + 1;
            let numbers = (from..from + count).collect();
            let append: Append = loaded.decide(&numbers, &request).unwrap();
            writes.push(Write {
                idempotency: None,
                appends: vec![append],
            });
        }
        let mut transaction = self.log.pool().begin().await.unwrap();
        append_in(&mut transaction, &writes)
            .await
            .unwrap()
            .expect("nobody else writes");
        transaction.commit().await.unwrap();
        self.log.notify_appended();
    }

    pub(crate) fn relay(&self) -> Running {
        let options = RelayOptions {
            lease: Duration::from_millis(300),
            batch_events_max: 50,
            ..RelayOptions::default()
        };
        Running::start(|stop| Relay::new(self.log.clone(), self.bus.clone(), options).run(stop))
    }

    pub(crate) async fn stream(&self) -> jetstream::stream::Stream {
        let client = async_nats::connect(&self.nats_url).await.unwrap();
        jetstream::new(client)
            .get_stream(self.bus.stream_name("numbers"))
            .await
            .unwrap()
    }

    pub(crate) fn jetstream_name(&self) -> String {
        self.bus.stream_name("numbers")
    }

    pub(crate) async fn jetstream(&self) -> jetstream::Context {
        jetstream::new(async_nats::connect(&self.nats_url).await.unwrap())
    }

    pub(crate) async fn wait_relayed(&self, count: u64) {
        testing::eventually(
            Duration::from_secs(20),
            "the stream holds the log",
            || async { (self.bus.stream_messages("numbers").await.ok()? == count).then_some(()) },
        )
        .await;
    }

    /// Event ids in the log by partition, in order.
    pub(crate) async fn logged(&self) -> BTreeMap<u8, Vec<String>> {
        let from: Vec<_> = Partition::all().map(|partition| (partition, 0)).collect();
        let mut found: BTreeMap<u8, Vec<String>> = BTreeMap::new();
        for event in self.log.read_after(&from, i64::MAX).await.unwrap() {
            found
                .entry(event.partition.number())
                .or_default()
                .push(event.event_id.to_string());
        }
        found
    }

    /// Everything in the stream, in order.
    pub(crate) async fn messages(&self) -> Vec<jetstream::Message> {
        let stream = self.stream().await;
        let count = usize::try_from(stream.get_info().await.unwrap().state.messages).unwrap();
        let consumer = stream
            .create_consumer(jetstream::consumer::pull::OrderedConfig::default())
            .await
            .unwrap();
        let messages = consumer.messages().await.unwrap();
        messages
            .take(count)
            .map(|message| message.unwrap())
            .collect()
            .await
    }

    /// Makes the stream anew and puts just these messages into it.
    pub(crate) async fn publish_by_hand(&self, messages: &[jetstream::Message]) {
        let config = self.stream().await.get_info().await.unwrap().config;
        let jetstream = self.jetstream().await;
        jetstream.delete_stream(&config.name).await.unwrap();
        jetstream.create_stream(config).await.unwrap();
        for message in messages {
            let mut headers = async_nats::HeaderMap::new();
            for (name, values) in message.headers.as_ref().unwrap().iter() {
                // What belonged to the relay's batch, and what the server added.
                if !name.to_string().starts_with("Nats-") {
                    headers.insert(name.clone(), values[0].clone());
                }
            }
            let subject = message.subject.clone();
            let sent = jetstream.publish_with_headers(subject, headers, message.payload.clone());
            sent.await.unwrap().await.unwrap();
        }
    }

    /// Event ids in the stream by partition, in order.
    pub(crate) async fn published(&self) -> BTreeMap<u8, Vec<String>> {
        let mut found: BTreeMap<u8, Vec<String>> = BTreeMap::new();
        for message in self.messages().await {
            let partition = message.subject.split('.').nth(3).unwrap()[1..]
                .parse()
                .unwrap();
            let headers = message.headers.as_ref().unwrap();
            let id = headers.get("ce-id").unwrap().to_string();
            found.entry(partition).or_default().push(id);
        }
        found
    }
}

/// A background task that is stopped on request.
pub(crate) struct Running {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Running {
    pub(crate) fn start<F: Future<Output = ()> + Send + 'static>(
        run: impl FnOnce(CancellationToken) -> F,
    ) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(run(stop.clone()));
        Self { stop, tasks }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tasks.join_all().await;
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) async fn abort(mut self) {
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
    }
}

pub(crate) async fn open(name: &'static str, database: &TestDatabase) -> EventLog {
    let file = std::env::temp_dir().join(format!("vefa-test-key-{}", Uuid::new_v4()));
    std::fs::write(&file, FileKeyService::generate().unwrap()).unwrap();
    let keys = FileKeyService::open(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let options = LogOptions {
        database_url: database.url().to_owned(),
        ..LogOptions::default()
    };
    EventLog::open(name, &options, Arc::new(keys))
        .await
        .unwrap()
}

pub(crate) fn stream(n: u128) -> Stream {
    let tenant = TenantId::parse("demo").unwrap();
    Stream::of_customer(&tenant, CustomerId(Uuid::from_u128(n))).without_subject()
}

pub(crate) fn request() -> Request {
    Request {
        tenant: TenantId::parse("demo").unwrap(),
        metadata: contracts::common::v1::EventMetadata {
            actor: "test".to_owned(),
            correlation_id: "c-1".to_owned(),
            causation_id: "e-0".to_owned(),
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
            on_behalf_of: "somebody".to_owned(),
        },
        now: datetime!(2026-01-02 03:04:05.678901 UTC),
        idempotency: None,
        validate_only: false,
    }
}
