//! One request to a receiver, and what its answer means. Nothing of an answer's body is read as anything, shown or kept, and a redirect is
//! not followed: it is an answer like others that are no yes.

mod connect;
mod retry_after;

use std::{future::poll_fn, pin::Pin, time::Duration};

use http::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{CONTENT_TYPE, InvalidHeaderValue, RETRY_AFTER, USER_AGENT},
};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use service::clock;

use crate::{endpoint::Endpoint, signature::sign};
use connect::Connector;
pub use connect::NoTrust;

/// What an event is in the form of CloudEvents.
const JSON: &str = "application/cloudevents+json; charset=utf-8";
const AGENT: &str = concat!("vefa-webhooks/", env!("CARGO_PKG_VERSION"));
/// A connection that nothing was sent over for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// An answer's body is read up to here, so that its connection can be used again; a longer one costs the connection.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// What is kept of why a request failed.
const OUTCOME_CHARS_MAX: usize = 200;

/// What a receiver made of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It has it.
    Taken,
    /// It wants no more of them, ever.
    Gone,
    /// It does not have it, for all that is known; and how long it asks to be left alone.
    Refused {
        outcome: String,
        wait: Option<Duration>,
    },
}

/// One receiver, with its connections.
pub(crate) struct Receiver {
    client: Client<Connector, String>,
}

impl Receiver {
    /// Connects at the first request.
    ///
    /// # Errors
    /// When the receiver is reached by TLS and no certificates of authorities can be had.
    pub(crate) fn new(endpoint: &Endpoint) -> Result<Self, NoTrust> {
        let connector = Connector::new(&endpoint.url, endpoint.ca_file.as_deref())?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(endpoint.in_flight_max)
            .build(connector);
        Ok(Self { client })
    }

    /// Sends an event, within the time that the endpoint allows.
    pub(crate) async fn tell(&self, endpoint: &Endpoint, id: &str, body: String) -> Answer {
        let request = match request(endpoint, id, body) {
            Ok(request) => request,
            Err(error) => return refused(format!("no request can be made: {error}"), None),
        };
        let asking = async {
            let response = match self.client.request(request).await {
                Ok(response) => response,
                Err(error) => return refused(told(&error), None),
            };
            let answer = answer_of(&response);
            drain(response).await;
            answer
        };
        tokio::time::timeout(endpoint.timeout, asking)
            .await
            .unwrap_or_else(|_| refused("no answer in time".to_owned(), None))
    }
}

fn refused(outcome: String, wait: Option<Duration>) -> Answer {
    Answer::Refused { outcome, wait }
}

fn request(endpoint: &Endpoint, id: &str, body: String) -> Result<Request<String>, http::Error> {
    let timestamp = clock::now().unix_timestamp();
    let signature = sign(&endpoint.secrets, id, timestamp, &body);
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(endpoint.url.clone())
        .body(body)?;
    put_headers(request.headers_mut(), id, timestamp, &signature)?;
    Ok(request)
}

fn put_headers(
    headers: &mut HeaderMap,
    id: &str,
    timestamp: i64,
    signature: &str,
) -> Result<(), InvalidHeaderValue> {
    headers.insert(CONTENT_TYPE, JSON.parse()?);
    headers.insert(USER_AGENT, AGENT.parse()?);
    headers.insert("webhook-id", id.parse()?);
    headers.insert("webhook-timestamp", timestamp.into());
    headers.insert("webhook-signature", signature.parse()?);
    Ok(())
}

fn answer_of(response: &Response<Incoming>) -> Answer {
    let status = response.status();
    if status.is_success() {
        return Answer::Taken;
    }
    if status == StatusCode::GONE {
        return Answer::Gone;
    }
    let asked = response.headers().get(RETRY_AFTER);
    let wait = asked
        .and_then(|asked| asked.to_str().ok())
        .and_then(|asked| retry_after::wait(asked, clock::now()));
    refused(format!("status {}", status.as_u16()), wait)
}

/// Reads the body away. What goes wrong here changes nothing: the answer was its status.
async fn drain(response: Response<Incoming>) {
    let mut body = response.into_body();
    let mut left = ANSWER_BYTES_MAX;
    while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let bytes = frame.data_ref().map_or(0, |data| data.len());
        match left.checked_sub(bytes) {
            Some(less) => left = less,
            None => return,
        }
    }
}

/// Why there was no answer: what connections and TLS say, which know nothing of what was to be sent.
fn told(error: &hyper_util::client::legacy::Error) -> String {
    let mut told = if error.is_connect() {
        "no connection".to_owned()
    } else {
        "the connection broke".to_owned()
    };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        told = format!("{told}: {cause}");
        source = cause.source();
    }
    told.chars().take(OUTCOME_CHARS_MAX).collect()
}
