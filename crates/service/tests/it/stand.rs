//! A server with one small service, which does what the request's text says.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use aggregate::TenantId;
use http::uri::PathAndQuery;
use prost::Message;
use prost_types::{
    FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
};
use service::metrics::CallDurations;
use service::server::ServeError;
use service::tls::ServerTls;
use service::{Authenticator, Config, Deadline, Principal, Secret, Server, Tasks, TokenIssuer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

pub(crate) const LIMIT: Duration = Duration::from_secs(10);
pub(crate) const CALL: &str = "/vefa.test.v1.Test/Call";

static DESCRIPTORS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let method = |name: &str, streaming| MethodDescriptorProto {
        name: Some(name.into()),
        server_streaming: Some(streaming),
        ..Default::default()
    };
    let test = ServiceDescriptorProto {
        name: Some("Test".into()),
        method: vec![method("Call", false), method("Stream", true)],
        ..Default::default()
    };
    let file = FileDescriptorProto {
        name: Some("vefa/test/v1/test.proto".into()),
        package: Some("vefa.test.v1".into()),
        service: vec![test],
        ..Default::default()
    };
    FileDescriptorSet { file: vec![file] }.encode_to_vec()
});

/// What a test sees of the handlers, and how it lets them go on.
pub(crate) struct Backstage {
    /// Calls that have begun to wait or hang.
    pub(crate) begun: watch::Sender<usize>,
    /// Calls that were dropped while they hung.
    pub(crate) dropped: watch::Sender<usize>,
    /// Lets a waiting call go on.
    pub(crate) go_on: Semaphore,
}

struct CountDrop(Arc<Backstage>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.dropped.send_modify(|count| *count += 1);
    }
}

#[derive(Clone)]
struct TestService(Arc<Backstage>);

impl NamedService for TestService {
    const NAME: &'static str = "vefa.test.v1.Test";
}

impl tower::Service<http::Request<Body>> for TestService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let backstage = self.0.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<String, String>::default());
            if request.uri().path() == CALL {
                let call = tower::service_fn(move |request| answer(request, backstage.clone()));
                Ok(grpc.unary(call, request).await)
            } else {
                let stream = tower::service_fn(async |_: Request<String>| {
                    let first = tokio_stream::once(Ok::<_, Status>("first".to_owned()));
                    Ok::<_, Status>(Response::new(first.chain(tokio_stream::pending())))
                });
                Ok(grpc.server_streaming(stream, request).await)
            }
        })
    }
}

async fn answer(
    request: Request<String>,
    backstage: Arc<Backstage>,
) -> Result<Response<String>, Status> {
    let principal = Principal::of(&request)?;
    let text = match request.get_ref().as_str() {
        "whoami" => {
            let subject = match principal.on_behalf_of.as_str() {
                "" => String::new(),
                subject => format!(" for {subject}"),
            };
            format!(
                "{} {}{subject} {}",
                principal.tenant,
                principal.actor,
                principal.scopes.join(",")
            )
        }
        "write" => principal
            .require("test.write")
            .map(|()| "written".to_owned())?,
        "deadline" => {
            let left = Deadline::of(&request)
                .expect("every call has a deadline")
                .remaining();
            left.as_millis().to_string()
        }
        "traceparent" => telemetry::current_traceparent().unwrap_or_default(),
        "panic" => panic!("as asked"),
        "wait" => {
            backstage.begun.send_modify(|count| *count += 1);
            backstage
                .go_on
                .acquire()
                .await
                .expect("never closed")
                .forget();
            "waited".to_owned()
        }
        "hang" => {
            let _count = CountDrop(backstage.clone());
            backstage.begun.send_modify(|count| *count += 1);
            pending().await
        }
        text => text.to_owned(),
    };
    Ok(Response::new(text))
}

/// A running server.
pub(crate) struct Stand {
    pub(crate) config: Config,
    pub(crate) address: SocketAddr,
    pub(crate) issuer: TokenIssuer,
    pub(crate) backstage: Arc<Backstage>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) tasks: Tasks,
    pub(crate) calls: CallDurations,
    pub(crate) tls: Option<ServerTls>,
    server: JoinSet<Result<(), ServeError>>,
}

impl Stand {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let backstage = Arc::new(Backstage {
            begun: watch::Sender::new(0),
            dropped: watch::Sender::new(0),
            go_on: Semaphore::new(0),
        });
        let (shutdown, tasks) = (CancellationToken::new(), Tasks::new());
        let authenticator = Authenticator::new(&secret(), &config.auth);
        let calls = CallDurations::default();
        let tls = ServerTls::open(&config.tls).unwrap();
        if let Some(tls) = tls.clone() {
            let watching = tls.watch(tasks.stopping());
            tasks.spawn("certificate", async {
                watching.await;
                Ok::<_, Infallible>(())
            });
        }
        let serving = Server::new(&config, authenticator, &DESCRIPTORS)
            .measured_by(&calls)
            .over_tls(tls.clone())
            .add_service(TestService(backstage.clone()))
            .serve(listener, shutdown.clone(), tasks.clone());
        let mut server = JoinSet::new();
        server.spawn(serving);
        let issuer = TokenIssuer::new(&secret(), &config.auth);
        Self {
            config,
            address,
            issuer,
            backstage,
            shutdown,
            tasks,
            calls,
            tls,
            server,
        }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap()
    }

    pub(crate) async fn connect(&self) -> Channel {
        self.endpoint().connect().await.unwrap()
    }

    /// A token of tenant acme with these scopes.
    pub(crate) fn token(&self, scopes: &[&str]) -> String {
        let acme = TenantId::parse("acme").unwrap();
        self.issuer
            .mint(&Principal::new(acme, "user:1", scopes), LIMIT)
            .unwrap()
    }

    /// Calls with a good token on a connection of its own.
    pub(crate) async fn call(&self, text: &str) -> Result<String, Status> {
        call(self.connect().await, authorized(text, &self.token(&["*"]))).await
    }

    /// How the server ended.
    pub(crate) async fn ended(mut self) -> Result<(), ServeError> {
        tokio::time::timeout(LIMIT, self.server.join_next())
            .await
            .expect("the server ends in time")
            .expect("it was started")
            .expect("it does not panic")
    }
}

pub(crate) fn secret() -> Secret {
    Secret::from_bytes(vec![7; 32]).unwrap()
}

pub(crate) fn authorized(text: &str, token: &str) -> Request<String> {
    let mut request = Request::new(text.to_owned());
    let bearer = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    request
}

pub(crate) async fn call<S>(channel: S, request: Request<String>) -> Result<String, Status>
where
    S: tonic::client::GrpcService<Body>,
    S::ResponseBody: Send + 'static,
    <S::ResponseBody as http_body::Body>::Error: Into<tonic::codegen::StdError> + Send,
{
    let mut client = tonic::client::Grpc::new(channel);
    client
        .ready()
        .await
        .map_err(|_| Status::unknown("no connection"))?;
    let codec = ProstCodec::<String, String>::default();
    let answer = client.unary(request, PathAndQuery::from_static(CALL), codec);
    let answer = tokio::time::timeout(LIMIT, answer).await;
    Ok(answer.expect("the call ends in time")?.into_inner())
}

pub(crate) async fn stream(
    channel: Channel,
    request: Request<String>,
) -> Result<tonic::Streaming<String>, Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client
        .ready()
        .await
        .map_err(|_| Status::unknown("no connection"))?;
    let path = PathAndQuery::from_static("/vefa.test.v1.Test/Stream");
    let codec = ProstCodec::<String, String>::default();
    Ok(client
        .server_streaming(request, path, codec)
        .await?
        .into_inner())
}

/// Waits until `count` is reached.
pub(crate) async fn reached(counter: &watch::Sender<usize>, count: usize) {
    let mut counter = counter.subscribe();
    let reached = counter.wait_for(|now| *now >= count);
    tokio::time::timeout(LIMIT, reached)
        .await
        .expect("in time")
        .expect("the sender lives");
}

/// The machine-readable reason of a refusal.
pub(crate) fn reason(status: &Status) -> String {
    use tonic_types::StatusExt;
    status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default()
}
