//! Trace context as a W3C `traceparent` string: what gRPC metadata, a stored event and a NATS
//! header carry. `tracestate` and baggage are not carried on; nothing here needs them.

use std::collections::HashMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::{OpenTelemetrySpanExt, SetParentError};

const TRACEPARENT: &str = "traceparent";

/// The `traceparent` of the current span, to be stored with an event or sent on.
///
/// None outside any span, or when telemetry is not set up. Asking starts the span: its parent
/// can no longer change afterwards.
pub fn current_traceparent() -> Option<String> {
    let context = Span::current().context();
    if !context.span().span_context().is_valid() {
        return None;
    }
    let mut carrier = HashMap::with_capacity(2);
    TraceContextPropagator::new().inject_context(&context, &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// Makes `span` a child of the remote span that `traceparent` names.
///
/// Call it before the span is entered. A malformed `traceparent` is ignored, and the span
/// starts a trace of its own, as the W3C recommendation asks.
pub fn set_parent(span: &Span, traceparent: &str) {
    let context = TraceContextPropagator::new().extract(&OneHeader(traceparent));
    if !context.span().span_context().is_valid() {
        return;
    }
    match span.set_parent(context) {
        // Without telemetry, or for a span that is filtered out, there is no trace to join.
        Ok(()) | Err(SetParentError::LayerNotFound | SetParentError::SpanDisabled) => {}
        Err(SetParentError::AlreadyStarted) => {
            tracing::warn!("a span was entered before its remote parent was set");
        }
    }
}

/// As [`set_parent`], with the `traceparent` header of a gRPC request if it has one.
pub fn set_parent_from_headers(span: &Span, headers: &HeaderMap) {
    if let Some(traceparent) = headers
        .get(TRACEPARENT)
        .and_then(|value| value.to_str().ok())
    {
        set_parent(span, traceparent);
    }
}

/// Ties `span` to the remote span that `traceparent` names without becoming its child: for a
/// batch, which has many causes. A malformed `traceparent` is ignored.
pub fn add_link(span: &Span, traceparent: &str) {
    let context = TraceContextPropagator::new().extract(&OneHeader(traceparent));
    // An invalid context is ignored by the callee.
    span.add_link(context.span().span_context().clone());
}

/// Writes the current span's `traceparent` into the headers of an outgoing request; with tonic,
/// `inject(request.metadata_mut().as_mut())`. Outside any span the headers stay as they are.
pub fn inject(headers: &mut HeaderMap) {
    if let Some(traceparent) = current_traceparent()
        && let Ok(value) = HeaderValue::from_str(&traceparent)
    {
        headers.insert(HeaderName::from_static(TRACEPARENT), value);
    }
}

/// A carrier that holds `traceparent` and nothing else.
struct OneHeader<'a>(&'a str);

impl Extractor for OneHeader<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::{TelemetryConfig, build};

    const REMOTE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn in_span(test: impl FnOnce(&Span)) {
        let (dispatch, _guard) = build(&TelemetryConfig::for_tests(None), "test").unwrap();
        tracing::dispatcher::with_default(&dispatch, || test(&tracing::info_span!("work")));
    }

    fn trace_id(traceparent: &str) -> &str {
        &traceparent[3..35]
    }

    #[test]
    fn outside_a_span_there_is_no_traceparent() {
        in_span(|_| assert_eq!(current_traceparent(), None));
    }

    #[test]
    fn a_span_has_a_traceparent_without_any_exporter() {
        in_span(|span| {
            let traceparent = span.in_scope(current_traceparent).unwrap();
            assert_eq!(traceparent.len(), 55, "{traceparent}");
            assert_ne!(trace_id(&traceparent), "0".repeat(32));
        });
    }

    #[test]
    fn a_child_of_a_remote_span_keeps_its_trace_and_its_sampling() {
        in_span(|span| {
            set_parent(span, REMOTE);
            let ours = span.in_scope(current_traceparent).unwrap();
            assert_eq!(trace_id(&ours), trace_id(REMOTE));
            assert_ne!(ours[36..52], REMOTE[36..52], "a new span id");
            assert!(
                ours.ends_with("-01"),
                "the caller's sampling is passed on: {ours}"
            );
        });
    }

    #[test]
    fn a_nested_span_stays_in_the_trace() {
        in_span(|span| {
            set_parent(span, REMOTE);
            let inner = span.in_scope(|| tracing::info_span!("inner"));
            let ours = inner.in_scope(current_traceparent).unwrap();
            assert_eq!(trace_id(&ours), trace_id(REMOTE));
        });
    }

    #[test]
    fn a_malformed_traceparent_starts_a_new_trace() {
        for malformed in ["", "nonsense", "00-0-0-01", &REMOTE[..40], &"é".repeat(40)] {
            in_span(|span| {
                set_parent(span, malformed);
                let ours = span.in_scope(current_traceparent).unwrap();
                assert_ne!(trace_id(&ours), trace_id(REMOTE));
            });
        }
    }

    #[test]
    fn headers_carry_the_context_both_ways() {
        in_span(|span| {
            let mut incoming = HeaderMap::new();
            incoming.insert(TRACEPARENT, HeaderValue::from_static(REMOTE));
            set_parent_from_headers(span, &incoming);
            let mut outgoing = HeaderMap::new();
            span.in_scope(|| inject(&mut outgoing));
            let sent = outgoing[TRACEPARENT].to_str().unwrap();
            assert_eq!(trace_id(sent), trace_id(REMOTE));
        });
    }

    #[test]
    fn a_quiet_log_filter_does_not_lose_the_trace() {
        let mut config = TelemetryConfig::for_tests(None);
        config.filter = "off".into();
        let (dispatch, _guard) = build(&config, "test").unwrap();
        tracing::dispatcher::with_default(&dispatch, || {
            let span = tracing::info_span!("work");
            assert!(span.in_scope(current_traceparent).is_some());
        });
    }
}
