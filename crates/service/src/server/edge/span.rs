//! The span of a call: method, status, tenant. Never what the request says. And how long it took.

use std::sync::Arc;

use http::HeaderMap;
use tokio::time::Instant;
use tonic::{Code, Status};
use tracing::{Span, field};

use super::Method;
use crate::metrics::MethodDurations;
use crate::status::ERROR_ID_HEADER;

/// The open span of a call. It is ended with the call's status, or with CANCELLED when the
/// client went away before there was one.
pub(super) struct CallSpan {
    span: Span,
    started: Instant,
    calls: Arc<MethodDurations>,
    ended: bool,
}

impl CallSpan {
    pub(super) fn open(
        method: Option<&Method>,
        calls: Arc<MethodDurations>,
        headers: &HeaderMap,
        started: Instant,
    ) -> Self {
        // A path that the client made up stays out of our spans.
        let (service, name) = match method {
            Some(method) => (method.service.as_str(), method.name.as_str()),
            None => ("unknown", "unknown"),
        };
        let span = tracing::info_span!(
            "rpc",
            otel.name = format_args!("{service}/{name}"),
            otel.kind = "server",
            otel.status_code = field::Empty,
            rpc.system = "grpc",
            rpc.service = service,
            rpc.method = name,
            rpc.grpc.status_code = field::Empty,
            tenant = field::Empty,
        );
        telemetry::set_parent_from_headers(&span, headers);
        Self {
            span,
            started,
            calls,
            ended: false,
        }
    }

    pub(super) fn tracing(&self) -> &Span {
        &self.span
    }

    /// Ends the span if these headers or trailers tell the status.
    pub(super) fn end_if_told_by(&mut self, headers: &HeaderMap) -> bool {
        match Status::from_header_map(headers) {
            Some(status) => {
                self.end(&status, headers.contains_key(ERROR_ID_HEADER));
                true
            }
            None => false,
        }
    }

    /// Ends the span. The first end counts.
    pub(super) fn end(&mut self, status: &Status, logged: bool) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let code = status.code();
        self.span.record("rpc.grpc.status_code", code as i32);
        let ours = is_our_fault(code);
        if ours {
            self.span.record("otel.status_code", "ERROR");
        }
        let elapsed = self.started.elapsed();
        self.calls.observe(code, elapsed);
        let elapsed_us = elapsed.as_micros() as u64;
        self.span.in_scope(|| {
            if ours && !logged && matches!(code, Code::Unknown | Code::Internal | Code::DataLoss) {
                // Nobody of ours made this status, so nobody logged it.
                tracing::error!(?code, message = status.message(), elapsed_us, "call failed");
            } else {
                tracing::debug!(?code, elapsed_us, "call ended");
            }
        });
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        self.end(&Status::cancelled("the client went away"), false);
    }
}

/// The codes that count as an error of the server
/// (OpenTelemetry semantic conventions for gRPC, "Server: Span status").
fn is_our_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}
