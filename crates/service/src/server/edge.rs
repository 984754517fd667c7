//! The edge of a server, where every call begins and ends: its span, its deadline, its panics,
//! its last log line.

mod body;
mod span;

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use http::{Request, Response};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};
use tracing::Instrument;

use super::methods::{Method, Methods};
use crate::config::Limits;
use crate::deadline::{self, Deadline};
use crate::status;
use crate::tasks::panic_message;
use body::EdgeBody;
use span::CallSpan;

/// Ends a call from outside: resolves to the status that it then has.
type Interruption = Pin<Box<dyn Future<Output = Status> + Send>>;

/// What all calls of a server share.
#[derive(Clone)]
pub(super) struct Edge(Arc<Shared>);

struct Shared {
    methods: Methods,
    limits: Limits,
    closing: CancellationToken,
    aborted: CancellationToken,
}

impl Edge {
    pub(super) fn new(methods: Methods, limits: Limits) -> Self {
        Self(Arc::new(Shared {
            methods,
            limits,
            closing: CancellationToken::new(),
            aborted: CancellationToken::new(),
        }))
    }

    /// Ends the streams of health and reflection, which would otherwise hold the server up.
    pub(super) fn close(&self) {
        self.0.closing.cancel();
    }

    /// Ends every call.
    pub(super) fn abort(&self) {
        self.0.aborted.cancel();
    }

    /// The deadline of a call. Health may be watched for ever.
    fn deadline(&self, request: &Request<Body>, method: Option<&Method>) -> Option<Deadline> {
        if method.is_some_and(|method| method.infrastructure && method.streaming) {
            return deadline::requested(request.headers()).map(Deadline::after);
        }
        let streaming = method.is_some_and(|method| method.streaming);
        Some(Deadline::of_call(
            request.headers(),
            streaming,
            &self.0.limits,
        ))
    }

    fn interruption(&self, deadline: Option<Deadline>, infrastructure: bool) -> Interruption {
        let shared = self.0.clone();
        Box::pin(async move {
            let overdue = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline.instant()).await,
                    None => std::future::pending().await,
                }
            };
            let closing = if infrastructure {
                &shared.closing
            } else {
                &shared.aborted
            };
            tokio::select! {
                () = overdue => status::deadline_exceeded(
                    "DEADLINE",
                    "the deadline passed before the call had ended",
                ),
                () = closing.cancelled() => shutting_down(),
                () = shared.aborted.cancelled() => shutting_down(),
            }
        })
    }
}

fn shutting_down() -> Status {
    let message = "this instance shuts down";
    status::unavailable("SHUTTING_DOWN", message, Duration::from_millis(100))
}

#[derive(Clone)]
pub(super) struct EdgeLayer(Edge);

impl EdgeLayer {
    pub(super) fn new(edge: Edge) -> Self {
        Self(edge)
    }
}

impl<S> Layer<S> for EdgeLayer {
    type Service = EdgeService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        EdgeService {
            inner,
            edge: self.0.clone(),
        }
    }
}

#[derive(Clone)]
pub(super) struct EdgeService<S> {
    inner: S,
    edge: Edge,
}

impl<S> Service<Request<Body>> for EdgeService<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let started = Instant::now();
        let methods = &self.edge.0.methods;
        let method = methods.get(request.uri().path());
        let span = CallSpan::open(method, methods.calls(method), request.headers(), started);
        // Taken now and not at the first poll: tonic starts a timeout of its own right after,
        // for the same time, and would answer CANCELLED if ours came second.
        let deadline = self.edge.deadline(&request, method);
        if let Some(deadline) = deadline {
            request.extensions_mut().insert(deadline);
        }
        let infrastructure = method.is_some_and(|method| method.infrastructure);
        let mut interruption = self.edge.interruption(deadline, infrastructure);
        let call = span.tracing().in_scope(|| self.inner.call(request));
        let tracing_span = span.tracing().clone();
        let outcome = async move {
            let call = AssertUnwindSafe(call).catch_unwind();
            let response = tokio::select! {
                biased;
                outcome = call => match outcome {
                    Ok(Ok(response)) => response,
                    Ok(Err(never)) => match never {},
                    Err(panic) => {
                        let causes = format!("a handler panicked: {}", panic_message(&*panic));
                        status::internal_logged(&causes).into_http()
                    }
                },
                status = &mut interruption => status.into_http(),
            };
            Ok(response_at_edge(response, span, interruption))
        };
        Box::pin(outcome.instrument(tracing_span))
    }
}

/// A response that ends in its headers ends here; any other ends in its body.
fn response_at_edge(
    response: Response<Body>,
    mut span: CallSpan,
    interruption: Interruption,
) -> Response<Body> {
    if span.end_if_told_by(response.headers()) {
        return response;
    }
    response.map(|body| Body::new(EdgeBody::new(body, span, interruption)))
}
