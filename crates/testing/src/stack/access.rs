//! Who calls the service under test, and with which rights.

use std::time::Duration;

use aggregate::TenantId;
use service::Principal;
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

use super::{Stack, TENANT, UnderTest};

/// A channel that puts a token into every call.
pub type Authorized = InterceptedService<Channel, Bearer>;

/// Puts a token, if there is one, into every call.
#[derive(Clone)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", token.clone());
        }
        Ok(request)
    }
}

impl<S: UnderTest> Stack<S> {
    /// A client of [`TENANT`] with all rights to the service.
    pub fn client(&self) -> S::Client {
        self.client_of(TENANT, &[&format!("{}.*", S::NAME)])
    }

    /// A client of another tenant, or with other scopes.
    pub fn client_of(&self, tenant: &str, scopes: &[&str]) -> S::Client {
        self.client_as(&Principal::new(
            TenantId::parse(tenant).unwrap(),
            "tester",
            scopes,
        ))
    }

    /// A client of [`TENANT`] that acts for somebody else.
    pub fn client_for(&self, subject: &str, scopes: &[&str]) -> S::Client {
        let tester = Principal::new(TenantId::parse(TENANT).unwrap(), "tester", scopes);
        self.client_as(&tester.on_behalf_of(subject))
    }

    fn client_as(&self, principal: &Principal) -> S::Client {
        let lifetime = Duration::from_secs(600);
        let token = self.issuer.mint(principal, lifetime).unwrap();
        let token = format!("Bearer {token}").parse().unwrap();
        self.client_with(Bearer(Some(token)))
    }

    /// A client who does not say who it is.
    pub fn client_without_token(&self) -> S::Client {
        self.client_with(Bearer(None))
    }

    /// Whom every call refuses that needs another scope than these, with code and reason: one who has these, and one
    /// without a token.
    pub fn outsiders(&self, scopes: &[&str]) -> [(S::Client, Code, &'static str); 2] {
        [
            (
                self.client_of(TENANT, scopes),
                Code::PermissionDenied,
                "SCOPE_MISSING",
            ),
            (
                self.client_without_token(),
                Code::Unauthenticated,
                "TOKEN_MISSING",
            ),
        ]
    }

    fn client_with(&self, bearer: Bearer) -> S::Client {
        S::client(InterceptedService::new(self.channel.clone(), bearer))
    }
}
