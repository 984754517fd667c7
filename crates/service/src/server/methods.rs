//! The methods that a server knows, from the descriptors.

use std::collections::HashMap;

use prost::Message;
use prost_types::FileDescriptorSet;

/// What the edge must know of a method before it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Method {
    /// Such as `vefa.customers.v1.Customers`.
    pub(super) service: String,
    /// Such as `GetCustomer`.
    pub(super) name: String,
    /// Whether either side sends a stream.
    pub(super) streaming: bool,
    /// Health and reflection: not part of any service's work, and never a reason to stay.
    pub(super) infrastructure: bool,
}

/// All methods by their path.
#[derive(Debug)]
pub(super) struct Methods(HashMap<String, Method>);

impl Methods {
    pub(super) fn decode(sets: &[&[u8]]) -> Result<Self, prost::DecodeError> {
        let mut methods = HashMap::new();
        for set in sets {
            for file in FileDescriptorSet::decode(*set)?.file {
                let package = file.package().to_owned();
                for service in &file.service {
                    for method in &service.method {
                        let full_name = format!("{package}.{}", service.name());
                        methods.insert(
                            format!("/{full_name}/{}", method.name()),
                            Method {
                                infrastructure: package.starts_with("grpc."),
                                service: full_name,
                                name: method.name().to_owned(),
                                streaming: method.client_streaming() || method.server_streaming(),
                            },
                        );
                    }
                }
            }
        }
        Ok(Self(methods))
    }

    /// The method of a request path. None for a path that the client made up.
    pub(super) fn get(&self, path: &str) -> Option<&Method> {
        self.0.get(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_streams_and_infrastructure() {
        let methods = Methods::decode(&[tonic_health::pb::FILE_DESCRIPTOR_SET]).unwrap();
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
        assert_eq!(methods.get("/grpc.health.v1.Health/Nonsense"), None);
    }
}
