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
        S::client(self.channel_of(tenant, scopes))
    }

    /// What such a client calls through, for services that stand beside the one under test.
    pub fn channel_of(&self, tenant: &str, scopes: &[&str]) -> Authorized {
        let tenant = TenantId::parse(tenant).unwrap();
        self.channel_as(&Principal::new(tenant, "tester", scopes))
    }

    /// A client of [`TENANT`] that acts for somebody else.
    pub fn client_for(&self, subject: &str, scopes: &[&str]) -> S::Client {
        let tester = Principal::new(TenantId::parse(TENANT).unwrap(), "tester", scopes);
        S::client(self.channel_as(&tester.on_behalf_of(subject)))
    }

    fn channel_as(&self, principal: &Principal) -> Authorized {
        let lifetime = Duration::from_secs(600);
        let token = self.issuer.mint(principal, lifetime).unwrap();
        let token = format!("Bearer {token}").parse().unwrap();
        self.channel_with(Bearer(Some(token)))
    }

    /// A client who does not say who it is.
    pub fn client_without_token(&self) -> S::Client {
        S::client(self.channel_without_token())
    }

    /// What such a client calls through.
    pub fn channel_without_token(&self) -> Authorized {
        self.channel_with(Bearer(None))
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

    fn channel_with(&self, bearer: Bearer) -> Authorized {
        InterceptedService::new(self.channel.clone(), bearer)
    }
}
