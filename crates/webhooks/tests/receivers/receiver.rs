//! A real HTTP server that takes events, and does with them what a test says.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Instant,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures::future::poll_fn;
use http::{HeaderMap, Request, Response};
use hyper::{
    body::{Body as _, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use testing::eventually;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::ground::SOON;

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) raw: String,
    pub(crate) event: Value,
    pub(crate) begun: Instant,
    /// None until it was answered.
    pub(crate) ended: Option<Instant>,
    /// How often the same event came before.
    pub(crate) before: usize,
}

impl Told {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id")
    }

    /// What the writer of the test gave as `source_id`.
    pub(crate) fn what(&self) -> &str {
        self.event["data"]["sourceId"].as_str().unwrap()
    }

    pub(crate) fn customer(&self) -> &str {
        self.event["data"]["customerId"].as_str().unwrap()
    }

    /// Whether one of the signatures is by this secret: HMAC after RFC 2104, written out.
    pub(crate) fn is_signed_by(&self, secret: &str) -> bool {
        let key = BASE64_STANDARD
            .decode(secret.strip_prefix("whsec_").unwrap())
            .unwrap();
        let mut block = [0_u8; 64];
        block[..key.len()].copy_from_slice(&key);
        let signed = format!(
            "{}.{}.{}",
            self.id(),
            self.header("webhook-timestamp"),
            self.raw
        );
        let inner = Sha256::new()
            .chain_update(block.map(|byte| byte ^ 0x36))
            .chain_update(signed)
            .finalize();
        let outer = Sha256::new()
            .chain_update(block.map(|byte| byte ^ 0x5c))
            .chain_update(inner)
            .finalize();
        let expected = format!("v1,{}", BASE64_STANDARD.encode(outer));
        let mut signatures = self.header("webhook-signature").split(' ');
        signatures.any(|signature| signature == expected)
    }
}

/// What it does with a request.
pub(crate) enum Reply {
    Status(u16),
    With(u16, &'static str, &'static str),
    /// Answers 200 once the test lets go.
    Hold,
}

type Rule = Arc<dyn Fn(&Told) -> Reply + Send + Sync>;

struct Shared {
    told: Mutex<Vec<Told>>,
    rule: Mutex<Rule>,
    let_go: CancellationToken,
}

/// The server. It ends when it is dropped.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

impl Receiver {
    /// One that takes everything.
    pub(crate) async fn start() -> Self {
        Self::start_with(|stream| async { Some(stream) }).await
    }

    /// The same over connections that `accept` makes of those that come.
    pub(crate) async fn start_with<S, F>(
        accept: impl Fn(tokio::net::TcpStream) -> F + Send + 'static,
    ) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = Option<S>> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            told: Mutex::default(),
            rule: Mutex::new(Arc::new(|_| Reply::Status(200))),
            let_go: CancellationToken::new(),
        });
        let mut serving = JoinSet::new();
        let of_server = Arc::clone(&shared);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let shared = Arc::clone(&of_server);
                let Some(stream) = accept(stream).await else {
                    continue;
                };
                connections.spawn(async move {
                    let service = service_fn(|request| answer(Arc::clone(&shared), request));
                    let connection = http1::Builder::new();
                    // Whoever goes away in the middle is part of some tests.
                    let _ended = connection
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            address,
            shared,
            _serving: serving,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks", self.address)
    }

    pub(crate) fn rule(&self, rule: impl Fn(&Told) -> Reply + Send + Sync + 'static) {
        *self.shared.rule.lock().unwrap() = Arc::new(rule);
    }

    /// Answers what is held, from now on at once.
    pub(crate) fn let_go(&self) {
        self.shared.let_go.cancel();
    }

    pub(crate) fn told(&self) -> Vec<Told> {
        self.shared.told.lock().unwrap().clone()
    }

    /// What came, in order, by the name that the test gave it.
    pub(crate) fn what(&self) -> Vec<String> {
        self.told()
            .iter()
            .map(|told| told.what().to_owned())
            .collect()
    }

    /// Waits until what came is enough.
    pub(crate) async fn until(
        &self,
        description: &str,
        enough: impl Fn(&[Told]) -> bool,
    ) -> Vec<Told> {
        eventually(SOON, description, || async {
            let told = self.told();
            enough(&told).then_some(told)
        })
        .await
    }

    /// Waits until this many requests have come and been answered.
    pub(crate) async fn has(&self, requests: usize) -> Vec<Told> {
        self.until(&format!("{requests} requests"), |told| {
            told.iter().filter(|one| one.ended.is_some()).count() >= requests
        })
        .await
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<String>, Infallible> {
    let path = request.uri().path().to_owned();
    let headers = request.headers().clone();
    let mut body = request.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        match frame {
            Ok(frame) => bytes.extend(frame.into_data().unwrap()),
            Err(_) => return Ok(Response::new(String::new())),
        }
    }
    let raw = String::from_utf8(bytes).unwrap();
    let (place, told) = {
        let mut all = shared.told.lock().unwrap();
        let same = all
            .iter()
            .filter(|one| one.headers["webhook-id"] == headers["webhook-id"]);
        let told = Told {
            path,
            event: serde_json::from_str(&raw).unwrap(),
            raw,
            begun: Instant::now(),
            ended: None,
            before: same.count(),
            headers,
        };
        all.push(told.clone());
        (all.len() - 1, told)
    };
    let rule = Arc::clone(&shared.rule.lock().unwrap());
    let reply = rule(&told);
    let mut response = Response::new("what a receiver says is not read".to_owned());
    let status = match reply {
        Reply::Status(status) => status,
        Reply::With(status, name, value) => {
            response.headers_mut().insert(name, value.parse().unwrap());
            status
        }
        Reply::Hold => {
            shared.let_go.cancelled().await;
            200
        }
    };
    *response.status_mut() = status.try_into().unwrap();
    shared.told.lock().unwrap()[place].ended = Some(Instant::now());
    Ok(response)
}
