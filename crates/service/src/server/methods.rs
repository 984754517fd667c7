//! The methods that a server knows, from the descriptors.

use std::collections::HashMap;
use std::sync::Arc;

use prost::Message;
use prost_types::FileDescriptorSet;

use crate::metrics::{CallDurations, MethodDurations};

/// What the edge must know of a method before it runs.
#[derive(Debug)]
pub(super) struct Method {
    /// Such as `vefa.customers.v1.Customers`.
    pub(super) service: String,
    /// Such as `GetCustomer`.
    pub(super) name: String,
    /// Whether either side sends a stream.
    pub(super) streaming: bool,
    /// Health and reflection: not part of any service's work, and never a reason to stay.
    pub(super) infrastructure: bool,
    /// How long its calls took.
    pub(super) calls: Arc<MethodDurations>,
}

/// All methods by their path.
#[derive(Debug)]
pub(super) struct Methods {
    by_path: HashMap<String, Method>,
    unknown: Arc<MethodDurations>,
}

impl Methods {
    pub(super) fn decode(
        sets: &[&[u8]],
        calls: &CallDurations,
    ) -> Result<Self, prost::DecodeError> {
        let mut by_path = HashMap::new();
        for set in sets {
            for file in FileDescriptorSet::decode(*set)?.file {
                let package = file.package().to_owned();
                for service in &file.service {
                    for method in &service.method {
                        let full_name = format!("{package}.{}", service.name());
                        by_path.insert(
                            format!("/{full_name}/{}", method.name()),
                            Method {
                                infrastructure: package.starts_with("grpc."),
                                calls: calls.of_method(&full_name, method.name()),
                                service: full_name,
                                name: method.name().to_owned(),
                                streaming: method.client_streaming() || method.server_streaming(),
                            },
                        );
                    }
                }
            }
        }
        Ok(Self {
            by_path,
            unknown: calls.of_unknown(),
        })
    }

    /// The method of a request path. None for a path that the client made up.
    pub(super) fn get(&self, path: &str) -> Option<&Method> {
        self.by_path.get(path)
    }

    /// How long the calls of a method took. All paths that clients made up are one.
    pub(super) fn calls(&self, method: Option<&Method>) -> Arc<MethodDurations> {
        Arc::clone(method.map_or(&self.unknown, |method| &method.calls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_streams_and_infrastructure() {
        let set = tonic_health::pb::FILE_DESCRIPTOR_SET;
        let methods = Methods::decode(&[set], &CallDurations::default()).unwrap();
        let check = methods.get("/grpc.health.v1.Health/Check").unwrap();
        assert_eq!(
            (check.service.as_str(), check.name.as_str()),
            ("grpc.health.v1.Health", "Check")
        );
        assert!(!check.streaming && check.infrastructure);
        assert!(
            methods
                .get("/grpc.health.v1.Health/Watch")
                .unwrap()
                .streaming
        );
        assert!(methods.get("/grpc.health.v1.Health/Nonsense").is_none());
    }
}
