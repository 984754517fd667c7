//! The gRPC server of a service: its limits, its edge, health, reflection, and its end.

mod edge;
mod incoming;
mod methods;

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use http::{Request, Response};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::{Routes, RoutesBuilder};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tower::Service;

use crate::auth::{AuthLayer, Authenticator};
use crate::config::{Config, Limits};
use crate::metrics::CallDurations;
use crate::tasks::{TaskError, Tasks};
use crate::tls::ServerTls;
use edge::{Edge, EdgeLayer};
use methods::Methods;

/// What an ended call may take to be written out, and a task to end once all calls have.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Sets the message limits of a generated gRPC service:
/// `limited!(CustomersServer::new(api), &config.limits)`.
///
/// A macro, since generated services share no trait. tonic's own limit is 4 MiB for requests
/// and none for answers.
#[macro_export]
macro_rules! limited {
    ($service:expr, $limits:expr) => {
        $service
            .max_decoding_message_size($limits.message_bytes_max)
            .max_encoding_message_size($limits.message_bytes_max)
    };
}

/// The server could not run, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The descriptors for reflection are of no use.
    #[error("the file descriptor set cannot be read")]
    Descriptors(#[source] prost::DecodeError),
    /// The descriptors contradict each other.
    #[error("reflection cannot be set up")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// The transport failed.
    #[error("the gRPC server failed")]
    Transport(#[source] tonic::transport::Error),
    /// A background task failed, which ends the server too.
    #[error(transparent)]
    Task(#[from] TaskError),
}

/// A gRPC server with all limits set, where nobody calls without a token.
pub struct Server {
    limits: Limits,
    drain_max: Duration,
    authenticator: Authenticator,
    descriptors: &'static [u8],
    routes: RoutesBuilder,
    names: Vec<&'static str>,
    health: HealthReporter,
    calls: CallDurations,
    tls: Option<ServerTls>,
}

impl Server {
    /// A server without services yet. `descriptors` is the encoded FileDescriptorSet of all
    /// that it will serve.
    pub fn new(config: &Config, authenticator: Authenticator, descriptors: &'static [u8]) -> Self {
        Self {
            limits: config.limits.clone(),
            drain_max: Duration::from_millis(config.shutdown.drain_ms_max),
            authenticator,
            descriptors,
            routes: Routes::builder(),
            names: Vec::new(),
            health: HealthReporter::new(),
            calls: CallDurations::default(),
            tls: None,
        }
    }

    /// Takes connections over TLS alone.
    #[must_use]
    pub fn over_tls(mut self, tls: Option<ServerTls>) -> Self {
        self.tls = tls;
        self
    }

    /// Has its calls measured where somebody sees them.
    #[must_use]
    pub fn measured_by(mut self, calls: &CallDurations) -> Self {
        self.calls = calls.clone();
        self
    }

    /// Adds a generated service. Wrap it in [`limited!`] first.
    #[must_use]
    pub fn add_service<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.names.push(S::NAME);
        self.routes.add_service(service);
        self
    }

    /// Serves until `shutdown` is cancelled or one of `tasks` fails. Then health turns to
    /// NOT_SERVING, no new connection is taken, calls under way may end within `drain_ms_max`
    /// (those that do not are answered UNAVAILABLE), and at last the tasks are stopped.
    ///
    /// # Errors
    /// If the transport or a task failed, or a task did not stop.
    pub async fn serve(
        mut self,
        listener: TcpListener,
        shutdown: CancellationToken,
        tasks: Tasks,
    ) -> Result<(), ServeError> {
        let descriptors = [
            self.descriptors,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        ];
        let methods =
            Methods::decode(&descriptors, &self.calls).map_err(ServeError::Descriptors)?;
        self.add_reflection()?;
        let health = HealthServer::new(HealthService::from_health_reporter(self.health.clone()));
        self.routes.add_service(limited!(health, self.limits));

        let edge = Edge::new(methods, self.limits.clone());
        let stop_accepting = CancellationToken::new();
        let transport = transport(&self.limits)
            .layer(EdgeLayer::new(edge.clone()))
            .layer(AuthLayer::new(self.authenticator.clone()))
            .add_routes(std::mem::take(&mut self.routes).routes().prepare())
            .serve_with_incoming_shutdown(
                incoming::connections(listener, &self.limits, self.tls.take()),
                stop_accepting.clone().cancelled_owned(),
            );
        let mut transport = pin!(transport);
        self.set_health(ServingStatus::Serving).await;

        let ended = tokio::select! {
            result = &mut transport => Some(result),
            () = shutdown.cancelled() => None,
            () = tasks.failed() => {
                tracing::warn!("a background task failed; the service shuts down");
                None
            }
        };
        let drain_until = Instant::now() + self.drain_max;
        let served = match ended {
            Some(result) => result,
            None => {
                self.set_health(ServingStatus::NotServing).await;
                edge.close();
                stop_accepting.cancel();
                drain(&mut transport, drain_until, &edge).await
            }
        };
        let limit = drain_until
            .saturating_duration_since(Instant::now())
            .max(LAST_WORDS);
        tasks.stop(limit).await?;
        served.map_err(ServeError::Transport)
    }

    fn add_reflection(&mut self) -> Result<(), ServeError> {
        let mut builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(self.descriptors)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("grpc.health.v1.Health")
            .with_service_name("grpc.reflection.v1.ServerReflection");
        for name in &self.names {
            builder = builder.with_service_name(*name);
        }
        let reflection = builder.build_v1().map_err(ServeError::Reflection)?;
        self.routes.add_service(limited!(reflection, self.limits));
        Ok(())
    }

    async fn set_health(&self, status: ServingStatus) {
        // The empty name is the server as a whole.
        for name in self.names.iter().copied().chain([""]) {
            self.health.set_service_status(name, status).await;
        }
    }
}

/// Waits for the calls under way; after `until` they are ended.
async fn drain<F>(transport: &mut F, until: Instant, edge: &Edge) -> F::Output
where
    F: Future<Output = Result<(), tonic::transport::Error>> + Unpin,
{
    if let Ok(result) = tokio::time::timeout_at(until, &mut *transport).await {
        return result;
    }
    tracing::warn!("calls were still under way at the end of the drain; they are ended");
    edge.abort();
    // A client that does not read its answer may keep the connection; we leave all the same.
    tokio::time::timeout(LAST_WORDS, transport)
        .await
        .unwrap_or(Ok(()))
}

/// tonic's own defaults are open; every limit that it has is set here, except the forced end
/// of an old connection: with it, tonic 0.14.9 breaks calls off without asking the client to
/// move on first.
fn transport(limits: &Limits) -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .concurrency_limit_per_connection(limits.concurrent_requests_max)
        .max_concurrent_streams(limits.streams_max)
        .http2_max_pending_accept_reset_streams(Some(limits.pending_reset_streams_max))
        .http2_max_local_error_reset_streams(Some(limits.local_reset_streams_max))
        .http2_max_header_list_size(limits.header_list_bytes_max)
        .http2_keepalive_interval(Some(Duration::from_millis(limits.keepalive_interval_ms)))
        .http2_keepalive_timeout(Some(Duration::from_millis(limits.keepalive_timeout_ms)))
        .max_connection_age(Duration::from_secs(limits.connection_age_s_max))
}
