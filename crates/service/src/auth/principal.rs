//! The caller, and what the caller may do.

use std::sync::Arc;

use aggregate::TenantId;
use tonic::Status;

use crate::status;

/// The scope to read across tenants, for a service that follows another's log. `*` does not
/// include it.
pub const ALL_TENANTS: &str = "all_tenants";

/// Who calls, for which tenant, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The tenant whose data is meant.
    pub tenant: TenantId,
    /// Who acts: a person's or program's id, or `service:campaigns`.
    pub actor: String,
    /// For whom the actor acts; empty when for itself.
    pub on_behalf_of: String,
    /// What is permitted: `customers.write`, `customers.*` or `*`.
    pub scopes: Vec<String>,
}

impl Principal {
    /// A caller with these rights.
    pub fn new(tenant: TenantId, actor: impl Into<String>, scopes: &[&str]) -> Self {
        Self {
            tenant,
            actor: actor.into(),
            on_behalf_of: String::new(),
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        }
    }

    /// The same, acting for somebody else.
    #[must_use]
    pub fn on_behalf_of(self, subject: impl Into<String>) -> Self {
        Self {
            on_behalf_of: subject.into(),
            ..self
        }
    }

    /// The caller of a request.
    ///
    /// # Errors
    /// UNAUTHENTICATED if the request did not come through a [`Server`](crate::Server), which
    /// lets nobody pass unknown.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<&Self, Status> {
        request
            .extensions()
            .get::<Arc<Self>>()
            .map(AsRef::as_ref)
            .ok_or_else(|| status::unauthenticated("TOKEN_MISSING", "the caller is not known"))
    }

    /// Passes if the caller has `scope`, such as `customers.write`.
    ///
    /// # Errors
    /// PERMISSION_DENIED, reason `SCOPE_MISSING`, with the scope.
    pub fn require(&self, scope: &str) -> Result<(), Status> {
        let granted = self.scopes.iter().any(|granted| covers(granted, scope));
        if granted { Ok(()) } else { Err(denied(scope)) }
    }

    /// Passes if the caller may read across tenants.
    ///
    /// # Errors
    /// PERMISSION_DENIED, reason `SCOPE_MISSING`.
    pub fn require_all_tenants(&self) -> Result<(), Status> {
        let granted = self.scopes.iter().any(|granted| granted == ALL_TENANTS);
        if granted {
            Ok(())
        } else {
            Err(denied(ALL_TENANTS))
        }
    }
}

fn denied(scope: &str) -> Status {
    let message = format!("this needs the scope {scope}");
    status::permission_denied("SCOPE_MISSING", &message, [("scope", scope.to_owned())])
}

/// `*` covers all scopes but [`ALL_TENANTS`], and `customers.*` all of the customers service.
fn covers(granted: &str, scope: &str) -> bool {
    if scope == ALL_TENANTS {
        return granted == ALL_TENANTS;
    }
    let of_service = || {
        let service = granted.strip_suffix('*')?;
        service.ends_with('.').then(|| scope.starts_with(service))
    };
    granted == "*" || granted == scope || of_service() == Some(true)
}

#[cfg(test)]
mod tests {
    use tonic::Code;
    use tonic_types::StatusExt;

    use super::*;

    fn with(scopes: &[&str]) -> Principal {
        Principal::new(TenantId::parse("acme").unwrap(), "user:1", scopes)
    }

    #[test]
    fn a_scope_permits_what_it_names() {
        assert!(with(&["customers.read"]).require("customers.read").is_ok());
        assert!(with(&["customers.*"]).require("customers.write").is_ok());
        assert!(with(&["*"]).require("customers.write").is_ok());
    }

    #[test]
    fn nothing_else_is_permitted() {
        for scopes in [
            &["customers.read"][..],
            &["customer*"],
            &["campaigns.*"],
            &[""],
            &[],
        ] {
            let status = with(scopes).require("customers.write").unwrap_err();
            assert_eq!(status.code(), Code::PermissionDenied);
            let info = status.get_details_error_info().unwrap();
            assert_eq!(info.reason, "SCOPE_MISSING");
            assert_eq!(info.metadata["scope"], "customers.write");
        }
    }

    #[test]
    fn a_tenant_s_full_rights_end_at_the_tenant() {
        assert!(with(&["*", "all_tenants.*"]).require_all_tenants().is_err());
        assert!(with(&["*"]).require(ALL_TENANTS).is_err());
        assert!(with(&[ALL_TENANTS]).require_all_tenants().is_ok());
    }
}
