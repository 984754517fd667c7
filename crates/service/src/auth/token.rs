//! Tokens: made by [`TokenIssuer`], checked by [`Authenticator`].

use std::sync::Arc;
use std::time::Duration;

use aggregate::TenantId;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use tonic::Status;

use super::{ALL_TENANTS, Principal, Secret};
use crate::config::{Auth, ServiceName};
use crate::{clock, status};

/// Tokens for calls between services kept in memory; one for each tenant and target.
const PEER_TOKENS_MAX: u64 = 10_000;

/// Tokens whose check is remembered, and for how long.
const CHECKED_TOKENS_MAX: u64 = 10_000;
const CHECKED_TOKEN_LIFE: Duration = Duration::from_secs(60);

/// The tenant of a call that is for none in particular. What such a call may see is decided by
/// its scope alone.
const NO_TENANT: &str = "system";

/// Why a call was not let in. Each has a reason of its own in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No `authorization: Bearer` header.
    Missing,
    /// Not a JWT of ours: its form, algorithm or claims.
    Malformed,
    /// Signed with another secret, or changed.
    BadSignature,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// Made by somebody else.
    WrongIssuer,
    /// Made for somebody else.
    WrongAudience,
}

impl Refusal {
    /// The machine-readable reason.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing => "TOKEN_MISSING",
            Self::Malformed => "TOKEN_MALFORMED",
            Self::BadSignature => "TOKEN_SIGNATURE_INVALID",
            Self::Expired => "TOKEN_EXPIRED",
            Self::NotYetValid => "TOKEN_NOT_YET_VALID",
            Self::WrongIssuer => "TOKEN_ISSUER_INVALID",
            Self::WrongAudience => "TOKEN_AUDIENCE_INVALID",
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::Missing => "this needs a header authorization: Bearer <token>",
            Self::Malformed => "the token is not one of this system",
            Self::BadSignature => "the token's signature is not valid",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::WrongIssuer => "the token was issued by another system",
            Self::WrongAudience => "the token is for another system",
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        status::unauthenticated(refusal.reason(), refusal.message())
    }
}

#[derive(Serialize)]
struct Minted<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Actor<&'a str>>,
    tenant: &'a TenantId,
    scope: String,
    iat: i64,
    exp: i64,
}

/// Who acts for the token's subject (RFC 8693, 4.1).
#[derive(Serialize, Deserialize)]
struct Actor<S> {
    sub: S,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    act: Option<Actor<String>>,
    tenant: TenantId,
    /// Separated by spaces (RFC 8693, 4.2).
    #[serde(default)]
    scope: String,
    exp: u64,
}

/// A token that was found good.
#[derive(Clone)]
struct Checked {
    principal: Arc<Principal>,
    /// Seconds since 1970 after which it no longer is, clocks that differ allowed for.
    good_until: u64,
}

/// Tells who holds a token.
#[derive(Clone)]
pub struct Authenticator(Arc<Checks>);

struct Checks {
    key: DecodingKey,
    validation: Validation,
    checked: Cache<Box<str>, Checked>,
}

impl Authenticator {
    /// Accepts tokens signed with `secret` and made for this system.
    pub fn new(secret: &Secret, config: &Auth) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[&config.issuer]);
        validation.set_audience(&[&config.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = config.clock_skew_s_max;
        let key = DecodingKey::from_secret(secret.expose());
        let checked = Cache::builder()
            .max_capacity(CHECKED_TOKENS_MAX)
            .time_to_live(CHECKED_TOKEN_LIFE)
            .build();
        Self(Arc::new(Checks {
            key,
            validation,
            checked,
        }))
    }

    /// The holder of the token in these headers.
    ///
    /// # Errors
    /// Which of the checks failed.
    pub fn authenticate(&self, headers: &http::HeaderMap) -> Result<Arc<Principal>, Refusal> {
        let header = headers
            .get(http::header::AUTHORIZATION)
            .ok_or(Refusal::Missing)?;
        let (scheme, token) = header
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .ok_or(Refusal::Malformed)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Refusal::Missing);
        }
        self.verify(token.trim())
    }

    /// The holder of `token`. A token that was found good is not checked again for a while, but for its end.
    ///
    /// # Errors
    /// Which of the checks failed.
    pub fn verify(&self, token: &str) -> Result<Arc<Principal>, Refusal> {
        if let Some(checked) = self.0.checked.get(token) {
            let now = clock::now().unix_timestamp().unsigned_abs();
            return if now <= checked.good_until {
                Ok(checked.principal)
            } else {
                Err(Refusal::Expired)
            };
        }
        let claims = jsonwebtoken::decode::<Claims>(token, &self.0.key, &self.0.validation)
            .map_err(|error| refusal(error.kind()))?
            .claims;
        let (actor, on_behalf_of) = match claims.act {
            Some(act) => (act.sub, claims.sub),
            None => (claims.sub, String::new()),
        };
        let principal = Arc::new(Principal {
            tenant: claims.tenant,
            actor,
            on_behalf_of,
            scopes: claims
                .scope
                .split_ascii_whitespace()
                .map(str::to_owned)
                .collect(),
        });
        let checked = Checked {
            principal: Arc::clone(&principal),
            good_until: claims.exp.saturating_add(self.0.validation.leeway),
        };
        self.0.checked.insert(token.into(), checked);
        Ok(principal)
    }
}

fn refusal(kind: &ErrorKind) -> Refusal {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the enum is open; the rest is malformed"
    )]
    match kind {
        ErrorKind::InvalidSignature => Refusal::BadSignature,
        ErrorKind::ExpiredSignature => Refusal::Expired,
        ErrorKind::ImmatureSignature => Refusal::NotYetValid,
        ErrorKind::InvalidIssuer => Refusal::WrongIssuer,
        ErrorKind::InvalidAudience => Refusal::WrongAudience,
        _ => Refusal::Malformed,
    }
}

/// A token could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot sign a token")]
pub struct MintError(#[from] jsonwebtoken::errors::Error);

/// Makes tokens: for the `vefa token` command, for tests, and for calls between services.
/// Clones share the cache of the latter.
#[derive(Clone)]
pub struct TokenIssuer(Arc<Signing>);

struct Signing {
    key: EncodingKey,
    issuer: String,
    audience: String,
    peer_lifetime: Duration,
    peer_tokens: Cache<(&'static str, ServiceName, Option<TenantId>), Arc<str>>,
}

impl TokenIssuer {
    /// Signs with `secret`, for this system.
    pub fn new(secret: &Secret, config: &Auth) -> Self {
        let peer_lifetime = Duration::from_secs(config.peer_token_lifetime_s);
        Self(Arc::new(Signing {
            key: EncodingKey::from_secret(secret.expose()),
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            peer_lifetime,
            peer_tokens: Cache::builder()
                .max_capacity(PEER_TOKENS_MAX)
                // Renewed at half its life, so that one taken from here is always good for a call.
                .time_to_live(peer_lifetime / 2)
                .build(),
        }))
    }

    /// A token by which its holder is `principal`, good for `lifetime` from now.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn mint(&self, principal: &Principal, lifetime: Duration) -> Result<String, MintError> {
        let issued_at = clock::now().unix_timestamp();
        let actor = principal.actor.as_str();
        let (sub, act) = match principal.on_behalf_of.as_str() {
            "" => (actor, None),
            subject => (subject, Some(Actor { sub: actor })),
        };
        let claims = Minted {
            iss: &self.0.issuer,
            aud: &self.0.audience,
            sub,
            act,
            tenant: &principal.tenant,
            scope: principal.scopes.join(" "),
            iat: issued_at,
            exp: issued_at.saturating_add_unsigned(lifetime.as_secs()),
        };
        Ok(jsonwebtoken::encode(
            &Header::new(Algorithm::HS256),
            &claims,
            &self.0.key,
        )?)
    }

    /// The token with which `from` calls `to`: for one tenant, with all rights at `to`; or, for
    /// no tenant, across all of them.
    pub(crate) fn peer_token(
        &self,
        from: &'static str,
        to: ServiceName,
        tenant: Option<&TenantId>,
    ) -> Result<Arc<str>, Arc<MintError>> {
        self.0
            .peer_tokens
            .try_get_with((from, to, tenant.cloned()), || {
                let rights = format!("{to}.*");
                let actor = format!("service:{from}");
                let principal = match tenant {
                    Some(tenant) => Principal::new(tenant.clone(), actor, &[&rights]),
                    None => {
                        let nobody =
                            TenantId::parse(NO_TENANT).expect("the constant is a tenant id");
                        Principal::new(nobody, actor, &[&rights, ALL_TENANTS])
                    }
                };
                self.mint(&principal, self.0.peer_lifetime).map(Arc::from)
            })
    }
}
