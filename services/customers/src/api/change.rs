//! Commands on one customer alone, and customers at a version.

use aggregate::CustomerId;
use event_log::{CommandError, Loaded, Request, Stream};
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

impl Api {
    /// A customer who is there, at the version that the caller has seen, if it says which.
    pub(super) async fn at_version(
        &self,
        request: &Request,
        customer: CustomerId,
        seen: Option<i64>,
    ) -> Result<Loaded<Customer>, CommandError<Refusal>> {
        let stream = Stream::of_customer(&request.tenant, customer);
        let loaded = self.log.load::<Customer>(&stream).await?;
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
        let stream = Stream::of_customer(&request.tenant, customer);
        let committed = self
            .log
            .execute::<Customer, _>(request, &stream, command, |loaded| Kept {
                etag: message::etag(loaded.version),
            })
            .await
            .map_err(|error| refusal::status(from_rejection(error, Refusal::Customer), customer))?;
        let Kept { etag } = stored(&committed)?;
        Ok(Changed {
            etag,
            consistency_token: committed.token.to_string(),
        })
    }
}
