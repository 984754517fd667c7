//! Commands on one customer alone, customers at a version, and who goes on for whoever was merged.

use aggregate::{CustomerId, TenantId};
use event_log::{CommandError, Loaded, LogError, Request, Stream};
use time::OffsetDateTime;
use tonic::Status;

use super::{
    Api, message,
    refusal::{self, Refusal, from_rejection},
    stored,
};
use crate::domain::{
    Customer,
    customer::{CustomerCommand, CustomerRejection},
};

/// Looks from one who was merged to who goes on for it, before the state is given up as one that changes faster than it is looked at.
const LOOKS_MAX: usize = 128;

/// What every such command answers.
pub(super) struct Changed {
    /// Version tag after the command.
    pub(super) etag: String,
    /// Makes a later read wait until it shows the change.
    pub(super) consistency_token: String,
}

/// What is kept of the answer for a repeat: the field that all responses of such commands begin with.
#[derive(Clone, PartialEq, prost::Message)]
struct Kept {
    #[prost(string, tag = "1")]
    etag: String,
}

/// Who goes on for a customer whom a request names, and that it is named by the id of one who was merged, if it is.
pub(super) fn named(loaded: &Loaded<Customer>, customer: CustomerId) -> Option<CustomerId> {
    let registration = loaded.state.registration();
    registration
        .is_some_and(|registration| registration.customer != customer)
        .then_some(customer)
}

/// A command as it came: by the customer's own id, or by that of one who was merged into it.
pub(super) fn as_named(original: Option<CustomerId>, command: CustomerCommand) -> CustomerCommand {
    match original {
        None => command,
        Some(original) => CustomerCommand::ToldOf {
            original,
            command: Box::new(command),
        },
    }
}

impl Api {
    /// Who goes on for a customer: itself, unless it was merged. Of somebody who is not registered, nothing.
    pub(super) async fn surviving(
        &self,
        tenant: &TenantId,
        customer: CustomerId,
    ) -> Result<Loaded<Customer>, LogError> {
        self.surviving_as_of(tenant, customer, None).await
    }

    /// The same as of a moment.
    pub(super) async fn surviving_as_of(
        &self,
        tenant: &TenantId,
        customer: CustomerId,
        as_of: Option<OffsetDateTime>,
    ) -> Result<Loaded<Customer>, LogError> {
        let mut id = customer;
        let mut looks = 0;
        loop {
            let stream = Stream::of_customer(tenant, id);
            let loaded = self.log.load_as_of::<Customer>(&stream, as_of).await?;
            let mergers = loaded.state.mergers();
            looks += 1;
            match mergers.survivor {
                Some(survivor) if looks < LOOKS_MAX => id = survivor,
                None if id != customer && !mergers.has(customer) && looks < LOOKS_MAX => {
                    // The merger was undone between two looks.
                    id = customer;
                }
                // What is refused then is tried again by whoever asked.
                Some(_) | None => return Ok(loaded),
            }
        }
    }

    /// A customer as it is, also when another goes on for it.
    pub(super) async fn as_it_is(
        &self,
        request: &Request,
        customer: CustomerId,
    ) -> Result<Loaded<Customer>, CommandError<Refusal>> {
        let stream = Stream::of_customer(&request.tenant, customer);
        Ok(self.log.load::<Customer>(&stream).await?)
    }

    /// A customer who is there, whoever goes on for it, at the version that the caller has seen, if it says which.
    pub(super) async fn at_version(
        &self,
        request: &Request,
        customer: CustomerId,
        seen: Option<i64>,
    ) -> Result<Loaded<Customer>, CommandError<Refusal>> {
        let loaded = self.surviving(&request.tenant, customer).await?;
        if loaded.state.registration().is_none() {
            // Nobody has no version that could be stale.
            return Err(CommandError::Rejected(Refusal::Customer(
                CustomerRejection::NotRegistered,
            )));
        }
        match seen.filter(|seen| *seen != loaded.version) {
            Some(expected) => {
                let actual = loaded.version;
                Err(CommandError::Rejected(Refusal::Stale { expected, actual }))
            }
            None => Ok(loaded),
        }
    }

    /// Carries out a command, or finds what its repeat is answered with.
    pub(super) async fn change(
        &self,
        request: &Request,
        customer: CustomerId,
        command: &CustomerCommand,
    ) -> Result<Changed, Status> {
        let kept = |loaded: &Loaded<Customer>| Kept {
            etag: message::etag(loaded.version),
        };
        let mut id = customer;
        let mut looks = 0;
        let outcome = loop {
            let told;
            let command = if id == customer {
                command
            } else {
                told = as_named(Some(customer), command.clone());
                &told
            };
            let stream = Stream::of_customer(&request.tenant, id);
            let executed = self.log.execute(request, &stream, command, kept).await;
            looks += 1;
            match executed {
                Err(CommandError::Rejected(CustomerRejection::Merged { survivor }))
                    if looks < LOOKS_MAX =>
                {
                    id = survivor;
                }
                Err(CommandError::Rejected(CustomerRejection::NotAbsorbed(_)))
                    if looks < LOOKS_MAX =>
                {
                    id = customer;
                }
                outcome => break outcome,
            }
        };
        let committed = outcome
            .map_err(|error| refusal::status(from_rejection(error, Refusal::Customer), customer))?;
        let Kept { etag } = stored(&committed)?;
        Ok(Changed {
            etag,
            consistency_token: committed.token.to_string(),
        })
    }
}
