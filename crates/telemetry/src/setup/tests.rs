//! Export against a collector in this process, and against none.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span as SpanProto;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;

use super::*;

const REMOTE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<SpanProto>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let spans = request.into_inner().resource_spans.into_iter();
        let spans = spans.flat_map(|r| r.scope_spans).flat_map(|s| s.spans);
        self.0.lock().unwrap().extend(spans);
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_reach_the_collector_with_their_remote_parent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let collector = Collector::default();
    let server = tonic::transport::Server::builder()
        .add_service(TraceServiceServer::new(collector.clone()))
        .serve_with_incoming(TcpListenerStream::new(listener));
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(server);

    let (dispatch, guard) = build(&TelemetryConfig::for_tests(Some(endpoint)), "test").unwrap();
    tracing::dispatcher::with_default(&dispatch, || {
        let outer = tracing::info_span!("outer", tenant = "acme");
        crate::set_parent(&outer, REMOTE);
        outer.in_scope(|| tracing::info_span!("inner").in_scope(|| {}));
        tracing::debug_span!("too fine").in_scope(|| {});
    });
    guard.shutdown().unwrap();

    let spans = collector.0.lock().unwrap();
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    assert_eq!(spans.len(), 2);
    assert_eq!(hex(&named("outer").trace_id), REMOTE[3..35]);
    assert_eq!(hex(&named("outer").parent_span_id), REMOTE[36..52]);
    assert_eq!(named("inner").parent_span_id, named("outer").span_id);
    assert_eq!(
        named("outer").attributes.len(),
        1,
        "nothing but what was asked for"
    );
}

/// Both kinds of dead collector: one that refuses, and one that takes the connection and is silent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_collector_neither_blocks_nor_delays_the_end() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    for address in [silent.local_addr().unwrap(), refused] {
        let config = TelemetryConfig::for_tests(Some(format!("http://{address}")));
        let (dispatch, guard) = build(&config, "test").unwrap();
        let start = Instant::now();
        tracing::dispatcher::with_default(&dispatch, || {
            // Fifty times the queue.
            for _ in 0..100_000 {
                tracing::info_span!("work").in_scope(|| {});
            }
        });
        let emitted = start.elapsed();
        assert!(
            emitted < Duration::from_secs(10),
            "emitting took {emitted:?}"
        );
        let start = Instant::now();
        drop(guard);
        let ended = start.elapsed();
        assert!(ended < Duration::from_secs(3), "the end took {ended:?}");
    }
}

#[test]
fn unusable_configurations_are_refused_with_their_key() {
    let mut config = TelemetryConfig::for_tests(None);
    config.filter = "info,=oops=".into();
    let error = build(&config, "test").unwrap_err().to_string();
    assert!(error.contains("telemetry.filter"), "{error}");

    let mut config = TelemetryConfig::for_tests(None);
    config.sample_ratio = 1.5;
    let error = build(&config, "test").unwrap_err().to_string();
    assert!(error.contains("telemetry.sample_ratio"), "{error}");

    let config = TelemetryConfig::for_tests(Some("not an address".into()));
    let error = build(&config, "test").unwrap_err().to_string();
    assert!(error.contains("telemetry.otlp_endpoint"), "{error}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
