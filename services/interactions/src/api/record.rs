//! Recording: a report is taken once, by its source and source id.

use std::sync::atomic::{AtomicBool, Ordering};

use contracts::interactions::v1 as pb;
use event_log::{
    CommandError, Committed, Decision, EventLog, LogError, Request, SealError, Stored, Stream,
};
use prost::Message;
use service::{Caller, command, status};
use tonic::Status;

use super::{Api, message, parse};
use crate::domain::{
    purchase::{Purchase, PurchaseId, PurchaseRejection},
    source_key::SourceKey,
    touchpoint::{Touchpoint, TouchpointId, TouchpointRejection},
};

impl Api {
    /// Records a purchase or return.
    pub(super) async fn purchase(
        &self,
        caller: &Caller,
        purchase: Option<pb::Purchase>,
    ) -> Result<pb::RecordPurchaseResponse, Status> {
        let id_of = |key: &SourceKey| PurchaseId(caller.derive_id(&key.to_string(), "purchase"));
        let command = parse::purchase(purchase, caller.now, id_of)?;
        let facts = &command.facts;
        self.require_customer(&caller.tenant, facts.customer)
            .await?;

        let stream = Stream::about_customer(&caller.tenant, facts.customer, facts.id.into())
            .without_subject();
        let natural_key = format!("purchase/{}", facts.key);
        let request = caller
            .natural(&self.log, natural_key, &message::purchase(&command))
            .await?;
        let response = pb::RecordPurchaseResponse {
            purchase_id: facts.id.0.to_string(),
            repeated_request: false,
            consistency_token: String::new(),
        };
        let committed = record_once::<Purchase>(&self.log, &request, &stream, &command, &response)
            .await
            .map_err(|error| {
                refusal(
                    error,
                    "purchase",
                    &facts.key,
                    |PurchaseRejection::AlreadyRecorded| (),
                )
            })?;
        Ok(pb::RecordPurchaseResponse {
            repeated_request: committed.replayed,
            consistency_token: committed.token.to_string(),
            ..stored(&committed)?
        })
    }

    /// Records a contact.
    pub(super) async fn touchpoint(
        &self,
        caller: &Caller,
        touchpoint: Option<pb::Touchpoint>,
    ) -> Result<pb::RecordTouchpointResponse, Status> {
        let id_of =
            |key: &SourceKey| TouchpointId(caller.derive_id(&key.to_string(), "touchpoint"));
        let command = parse::touchpoint(touchpoint, caller.now, id_of)?;
        let facts = &command.facts;
        self.require_customer(&caller.tenant, facts.customer)
            .await?;

        let stream = Stream::about_customer(&caller.tenant, facts.customer, facts.id.into());
        let natural_key = format!("touchpoint/{}", facts.key);
        let request = caller
            .natural(&self.log, natural_key, &message::touchpoint(facts))
            .await?;
        let response = pb::RecordTouchpointResponse {
            touchpoint_id: facts.id.0.to_string(),
            repeated_request: false,
            consistency_token: String::new(),
        };
        let committed =
            record_once::<Touchpoint>(&self.log, &request, &stream, &command, &response)
                .await
                .map_err(|error| {
                    refusal(
                        error,
                        "touchpoint",
                        &facts.key,
                        |TouchpointRejection::AlreadyRecorded| (),
                    )
                })?;
        Ok(pb::RecordTouchpointResponse {
            repeated_request: committed.replayed,
            consistency_token: committed.token.to_string(),
            ..stored(&committed)?
        })
    }
}

/// Appends the first event of a stream. That the stream does not exist yet is taken for granted at first, which spares a query;
/// the append finds out if it is not so, and then the stream is loaded. A repeat is found by the request's key.
async fn record_once<A: Stored>(
    log: &EventLog,
    request: &Request,
    stream: &Stream,
    command: &A::Command,
    response: &impl Message,
) -> Result<Committed, CommandError<A::Rejection>> {
    let in_conflict = AtomicBool::new(false);
    log.transact(request, || async {
        let mut loaded = if in_conflict.swap(true, Ordering::Relaxed) {
            log.load::<A>(stream).await?
        } else {
            log.fresh::<A>(stream).await?
        };
        let append = loaded.decide(command, request)?;
        Ok(Decision::new([append], response))
    })
    .await
}

/// The answer of the first time.
fn stored<M: Message + Default>(committed: &Committed) -> Result<M, Status> {
    M::decode(committed.response.as_slice()).map_err(|error| status::internal(&error))
}

/// `already_recorded` only states that a rejection of the domain can be nothing else.
fn refusal<R>(
    error: CommandError<R>,
    resource_type: &str,
    key: &SourceKey,
    already_recorded: impl FnOnce(R),
) -> Status {
    let taken = || status::already_exists(resource_type, &key.to_string(), "SOURCE_ID_TAKEN");
    match error {
        CommandError::IdempotencyMismatch => taken(),
        CommandError::Rejected(rejection) => {
            already_recorded(rejection);
            taken()
        }
        CommandError::Failed(LogError::Seal(SealError::Destroyed)) => status::failed_precondition(
            "CUSTOMER_ERASED",
            &format!("{resource_type}/{key}"),
            "the customer was erased; nothing personal is recorded any more",
        ),
        CommandError::Contended | CommandError::Failed(_) => {
            command::refused(error, |_| unreachable!("a rejection is answered above"))
        }
    }
}
