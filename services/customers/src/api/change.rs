//! A command on one customer alone.

use aggregate::CustomerId;
use event_log::{Committed, Request, Stream};
use prost::Message;
use tonic::Status;

use super::{
    Api, message,
    refusal::{self, Refusal, from_rejection},
};
use crate::domain::{Customer, customer::CustomerCommand};

impl Api {
    /// Carries out a command; `response` makes the answer from the version tag after it.
    pub(super) async fn change<M: Message>(
        &self,
        request: &Request,
        customer: CustomerId,
        command: &CustomerCommand,
        response: impl Fn(String) -> M,
    ) -> Result<Committed, Status> {
        let stream = Stream::of_customer(&request.tenant, customer);
        self.log
            .execute::<Customer, M>(request, &stream, command, |loaded| {
                response(message::etag(loaded.version))
            })
            .await
            .map_err(|error| refusal::status(from_rejection(error, Refusal::Customer), customer))
    }
}
