//! One purchase, seen by a collector: what three processes do because of it is one trace.

use std::{
    collections::BTreeMap,
    fs,
    process::{Child, Stdio},
    sync::{Arc, Mutex},
};

use contracts::{
    customers::v1::{
        CustomerKind, Profile, RegisterCustomerRequest,
        customers_service_client::CustomersServiceClient,
    },
    interactions::v1::{
        Purchase, PurchaseKind, PurchaseLine, RecordPurchaseRequest,
        interactions_service_client::InteractionsServiceClient,
    },
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
};
use prost_types::Timestamp;
use testing::{TestDatabase, TestServers, eventually, free_port, spawn_bound, wait_until};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Endpoint};

use crate::{SOON, text, vefa};

const SERVICES: [&str; 3] = ["customers", "interactions", "segmentation"];
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// What is asserted of a span.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    /// The process that it is from.
    service: String,
    name: String,
    /// Of a reader, whose log it follows.
    source: String,
    id: String,
    parent: String,
}

/// Keeps the spans of our trace.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Seen>>>);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute(attributes: &[KeyValue], name: &str) -> String {
    let one = attributes.iter().find(|one| one.key == name);
    match one.and_then(|one| one.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        _ => String::new(),
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut seen = self.0.lock().unwrap();
        for process in request.into_inner().resource_spans {
            let resource = process.resource.unwrap_or_default();
            let service = attribute(&resource.attributes, "service.name");
            let spans = process.scope_spans.into_iter().flat_map(|one| one.spans);
            seen.extend(
                spans
                    .filter(|span| hex(&span.trace_id) == TRACE)
                    .map(|span| Seen {
                        service: service.clone(),
                        source: attribute(&span.attributes, "source"),
                        id: hex(&span.span_id),
                        parent: hex(&span.parent_span_id),
                        name: span.name,
                    }),
            );
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn start(&self) -> (String, JoinSet<Result<(), tonic::transport::Error>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(
            tonic::transport::Server::builder()
                .add_service(TraceServiceServer::new(self.clone()))
                .serve_with_incoming(TcpListenerStream::new(listener)),
        );
        (endpoint, serving)
    }

    /// The first span that is so, once it is there.
    async fn span(&self, what: &str, is: impl Fn(&Seen) -> bool) -> Seen {
        let found = async || self.0.lock().unwrap().iter().find(|one| is(one)).cloned();
        match tokio::time::timeout(SOON, eventually(SOON * 2, what, found)).await {
            Ok(seen) => seen,
            Err(_) => panic!("no span: {what}, among {:#?}", self.0.lock().unwrap()),
        }
    }
}

/// Three services, each a process of its own.
struct Ground {
    databases: BTreeMap<&'static str, TestDatabase>,
    addresses: BTreeMap<&'static str, String>,
    settings: Vec<(String, String)>,
    files: tempfile::TempDir,
    running: Vec<Child>,
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Ground {
    async fn start(otlp_endpoint: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        let file = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
        let setting = |name: &str, value: String| (format!("VEFA__{name}"), value);
        let mut settings = vec![
            setting("NATS__URL", TestServers::from_env().unwrap().nats_url),
            setting("NATS__STREAM_PREFIX", TestServers::unique_prefix()),
            setting("AUTH__SECRET_FILE", file("auth.secret")),
            setting("KEYS__MASTER_KEY_FILE", file("master.key")),
            setting("DATABASE__POOL_CONNECTIONS_MAX", "6".to_owned()),
            setting("TELEMETRY__OTLP_ENDPOINT", otlp_endpoint.to_owned()),
            setting("TELEMETRY__EXPORT_INTERVAL_MS", "50".to_owned()),
        ];
        let (mut databases, mut addresses) = (BTreeMap::new(), BTreeMap::new());
        for name in SERVICES {
            let database = TestDatabase::create(name).await.unwrap();
            let address = format!("127.0.0.1:{}", free_port().unwrap());
            let upper = name.to_uppercase();
            let url = database.url().to_owned();
            settings.push(setting(&format!("DATABASE__URL__{upper}"), url));
            settings.push(setting(&format!("LISTEN__{upper}"), address.clone()));
            databases.insert(name, database);
            addresses.insert(name, address);
        }
        let mut ground = Self {
            databases,
            addresses,
            settings,
            files,
            running: Vec::new(),
        };
        ground.said(&["init"]);
        for name in SERVICES {
            ground.serve(name);
        }
        ground
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = vefa(arguments);
        let settings = self.settings.iter().map(|(name, value)| (name, value));
        command.envs(settings);
        command
    }

    fn said(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        text(&output.stdout).trim().to_owned()
    }

    fn serve(&mut self, name: &str) {
        let path = self.files.path().join(format!("{name}.log"));
        let mut command = self.command(&["serve", name]);
        let log = fs::File::create(&path).unwrap();
        command.stdout(Stdio::null()).stderr(log);
        self.running.push(spawn_bound(command).unwrap());
        let serves = wait_until(SOON, || {
            let mut health = self.command(&["health", &self.addresses[name]]);
            health.output().unwrap().status.success().then_some(())
        });
        serves.unwrap_or_else(|| panic!("{}", fs::read_to_string(path).unwrap()));
    }

    fn kill(&mut self) {
        for service in &mut self.running {
            let _killed = service.kill().and_then(|()| service.wait());
        }
    }

    async fn stop(mut self) {
        self.kill();
        for (_, database) in std::mem::take(&mut self.databases) {
            database.drop().await.unwrap();
        }
    }

    /// A call, which the caller's trace goes with if there is one.
    fn request<T>(&self, message: T, traceparent: Option<String>) -> Request<T> {
        let token = self.said(&["token", "--tenant", "acme", "--actor", "till"]);
        let mut request = Request::new(message);
        let headers = request.metadata_mut();
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        if let Some(traceparent) = traceparent {
            headers.insert("traceparent", traceparent.parse().unwrap());
        }
        request
    }

    fn endpoint(&self, name: &str) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.addresses[name])).unwrap()
    }

    async fn register(&self) -> String {
        let registration = RegisterCustomerRequest {
            request_id: "one".to_owned(),
            kind: CustomerKind::Person.into(),
            profile: Some(Profile {
                given_name: "Oya".to_owned(),
                ..Profile::default()
            }),
            ..RegisterCustomerRequest::default()
        };
        let channel = self.endpoint("customers").connect().await.unwrap();
        let registered = CustomersServiceClient::new(channel)
            .register_customer(self.request(registration, None))
            .await;
        registered.unwrap().into_inner().customer_id
    }

    async fn purchase(&self, customer_id: String, traceparent: String) {
        let purchase = Purchase {
            source: "till".to_owned(),
            source_id: "1".to_owned(),
            customer_id,
            kind: PurchaseKind::Purchase.into(),
            occurred_time: Some(Timestamp {
                seconds: 1_767_225_600,
                nanos: 0,
            }),
            currency_code: "EUR".to_owned(),
            lines: vec![PurchaseLine {
                sku: "A-1".to_owned(),
                category: "shoes".to_owned(),
                quantity: 1,
                amount_minor: 100,
                margin_minor: None,
            }],
            channel: "web".to_owned(),
            backfill: false,
        };
        let request = RecordPurchaseRequest {
            purchase: Some(purchase),
        };
        let channel = self.endpoint("interactions").connect().await.unwrap();
        InteractionsServiceClient::new(channel)
            .record_purchase(self.request(request, Some(traceparent)))
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purchase_and_what_other_services_do_because_of_it_are_one_trace() {
    let collector = Collector::default();
    let (endpoint, _serving) = collector.start().await;
    let ground = Ground::start(&endpoint).await;
    let customer_id = ground.register().await;
    ground
        .purchase(customer_id, format!("00-{TRACE}-{CALLER}-01"))
        .await;

    let call = collector
        .span("the call", |one| {
            one.service == "interactions" && one.name.ends_with("/RecordPurchase")
        })
        .await;
    assert_eq!(call.parent, CALLER);
    // By the log and NATS to two others, one of which answers with an event of its own, which goes the same way.
    for (service, source) in [
        ("segmentation", "interactions"),
        ("customers", "interactions"),
        ("segmentation", "customers"),
    ] {
        let follows =
            |one: &Seen| one.service == service && one.name == "follow" && one.source == source;
        let seen = collector
            .span(&format!("{service} of {source}"), follows)
            .await;
        assert_eq!(seen.parent, call.id, "{seen:?}");
    }
    ground.stop().await;
}
