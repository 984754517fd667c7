//! How long calls take, by method and status: rate, errors and duration in one.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use prometheus_client::{
    metrics::{family::Family, histogram::Histogram},
    registry::Registry,
};
use tonic::Code;

/// From a command that meets an idle service to a call at its deadline. Finer below 10 ms than OpenTelemetry suggests, since most calls
/// end there.
const BOUNDS_S: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Codes of gRPC, from OK to UNAUTHENTICATED.
const CODES: usize = 17;

/// What a path that the client made up is called (OpenTelemetry semantic conventions for RPC, `rpc.method`).
const OTHER: &str = "_OTHER";

/// `rpc.method` and `rpc.response.status_code`, as Prometheus spells them.
type Labels = [(&'static str, String); 2];

/// How long the calls of a server took. Clones measure together.
#[derive(Clone, Debug)]
pub struct CallDurations(Family<Labels, Histogram, fn() -> Histogram>);

impl Default for CallDurations {
    fn default() -> Self {
        Self(Family::new_with_constructor(|| Histogram::new(BOUNDS_S)))
    }
}

impl CallDurations {
    /// Shows them under the name of OpenTelemetry's semantic conventions, `rpc.server.call.duration`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "rpc_server_call_duration_seconds",
            "Time from the head of a request to the end of its answer",
            self.0.clone(),
        );
    }

    pub(crate) fn of_method(&self, service: &str, method: &str) -> Arc<MethodDurations> {
        self.of(format!("{service}/{method}"))
    }

    pub(crate) fn of_unknown(&self) -> Arc<MethodDurations> {
        self.of(OTHER.to_owned())
    }

    fn of(&self, method: String) -> Arc<MethodDurations> {
        Arc::new(MethodDurations {
            all: self.clone(),
            method,
            by_code: Default::default(),
        })
    }
}

/// Those of one method. A code's histogram is found once, so that a call costs neither an allocation nor a search.
#[derive(Debug)]
pub(crate) struct MethodDurations {
    all: CallDurations,
    method: String,
    by_code: [OnceLock<Histogram>; CODES],
}

impl MethodDurations {
    pub(crate) fn observe(&self, code: Code, took: Duration) {
        let Some(place) = self.by_code.get(code as usize) else {
            return;
        };
        let histogram = place.get_or_init(|| {
            let labels = [
                ("rpc_method", self.method.clone()),
                ("rpc_response_status_code", name(code).to_owned()),
            ];
            self.all.0.get_or_create_owned(&labels)
        });
        histogram.observe(took.as_secs_f64());
    }
}

/// As gRPC spells it, and the semantic conventions with it.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::prometheus_text::encode;

    #[test]
    fn every_code_has_a_place_and_its_own_series() {
        let (durations, mut registry) = (CallDurations::default(), Registry::default());
        durations.register(&mut registry);
        let method = durations.of_method("vefa.test.v1.Test", "Call");
        for number in 0..=Code::Unauthenticated as i32 {
            method.observe(Code::from(number), Duration::from_millis(3));
            method.observe(Code::from(number), Duration::from_secs(3));
        }
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let counted = |line: &&str| line.contains("_count{") && line.ends_with(" 2");
        assert_eq!(text.lines().filter(counted).count(), CODES, "{text}");
        let bucket = "rpc_server_call_duration_seconds_bucket{rpc_method=\"vefa.test.v1.Test/Call\",rpc_response_status_code=\"DATA_LOSS\",le=\"0.005\"} 1";
        assert!(text.contains(bucket), "{text}");
    }
}
