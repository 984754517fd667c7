//! What each refusal of a command is called.

use aggregate::CustomerId;
use event_log::CommandError;
use service::{command, status};
use tonic::Status;

use crate::domain::{customer::CustomerRejection, identifier::InvalidPhone};

/// Why a command has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The customer's state forbids it.
    Customer(CustomerRejection),
    /// It is another customer of the request that forbids it.
    Of {
        customer: CustomerId,
        refusal: Box<Refusal>,
    },
    /// Another customer owns the identifier at this place of the request.
    IdentifierTaken { path: String },
    /// The customer is not at the version that the caller has seen.
    Stale { expected: i64, actual: i64 },
    /// The number means nothing in the customer's country.
    Phone(InvalidPhone),
    /// There is nobody of whom to make an owner.
    NoSuchOwner { employee: CustomerId },
    /// Only an employee looks after customers.
    OwnerNotInternal { employee: CustomerId },
    /// There is nobody to be related to.
    NoSuchParty { party: CustomerId },
    /// The other customer was erased.
    PartyErased { party: CustomerId },
    /// More customers stand in one hierarchy than are looked at.
    HierarchyTooLarge,
}

/// The same failure, with the domain's rejection as a refusal.
pub(super) fn from_rejection<R>(
    error: CommandError<R>,
    refusal: impl FnOnce(R) -> Refusal,
) -> CommandError<Refusal> {
    match error {
        CommandError::Rejected(rejection) => CommandError::Rejected(refusal(rejection)),
        CommandError::IdempotencyMismatch => CommandError::IdempotencyMismatch,
        CommandError::Contended => CommandError::Contended,
        CommandError::Failed(error) => CommandError::Failed(error),
    }
}

/// The status of a command on a customer that did not take effect.
pub(super) fn status(error: CommandError<Refusal>, customer: CustomerId) -> Status {
    command::refused(error, |refusal| of_refusal(refusal, customer))
}

fn of_refusal(refusal: Refusal, customer: CustomerId) -> Status {
    match refusal {
        Refusal::Customer(rejection) => of_rejection(&rejection, customer),
        Refusal::Of { customer, refusal } => of_refusal(*refusal, customer),
        Refusal::IdentifierTaken { path } => {
            status::already_exists("identifier", &path, "IDENTIFIER_TAKEN")
        }
        Refusal::Stale { expected, actual } => status::aborted_version(
            "customer",
            &customer.to_string(),
            expected.unsigned_abs(),
            actual.unsigned_abs(),
        ),
        Refusal::NoSuchOwner { employee: party } | Refusal::NoSuchParty { party } => {
            status::not_found("customer", &party.to_string())
        }
        Refusal::PartyErased { party } => erased(party),
        Refusal::HierarchyTooLarge => hierarchy_too_large(customer),
        Refusal::OwnerNotInternal { employee } => status::failed_precondition(
            "OWNER_NOT_INTERNAL",
            &format!("customer/{employee}"),
            "the owner is not an internal customer",
        ),
        Refusal::Phone(error) => status::invalid_field("identifier.value", error.to_string()),
    }
}

fn of_rejection(rejection: &CustomerRejection, customer: CustomerId) -> Status {
    let id = customer.to_string();
    let forbidden = |reason| {
        status::failed_precondition(reason, &format!("customer/{id}"), &rejection.to_string())
    };
    match rejection {
        CustomerRejection::AlreadyRegistered => {
            status::already_exists("customer", &id, "CUSTOMER_EXISTS")
        }
        CustomerRejection::NotRegistered => status::not_found("customer", &id),
        CustomerRejection::Erased => erased(customer),
        CustomerRejection::ProcessingRestricted => forbidden("PROCESSING_RESTRICTED"),
        CustomerRejection::NameRequired(_) => forbidden("NAME_REQUIRED"),
        CustomerRejection::FieldOfOtherKind { .. } => forbidden("FIELD_OF_OTHER_KIND"),
        CustomerRejection::NoConsent(_) => forbidden("NO_CONSENT"),
        CustomerRejection::InternalBusiness => forbidden("INTERNAL_BUSINESS"),
        CustomerRejection::OwnsItself => forbidden("OWNER_IS_CUSTOMER"),
        CustomerRejection::StageNotReachable { .. } => forbidden("STAGE_NOT_REACHABLE"),
        CustomerRejection::ReasonRequired => forbidden("REASON_REQUIRED"),
        CustomerRejection::OutOfOrder { .. } => forbidden("OUT_OF_ORDER"),
        CustomerRejection::RelationCycle => forbidden("RELATION_CYCLE"),
        CustomerRejection::RelationKinds(_) => forbidden("RELATION_KINDS"),
        CustomerRejection::RelationExists => {
            status::already_exists("relation", &id, "RELATION_EXISTS")
        }
        CustomerRejection::ParentExists => forbidden("PARENT_EXISTS"),
        CustomerRejection::ReferrerExists => forbidden("REFERRER_EXISTS"),
        CustomerRejection::NoSuchRelation(relation) => {
            status::not_found("relation", &relation.0.to_string())
        }
        CustomerRejection::Merged { .. } => forbidden("CUSTOMER_MERGED"),
        CustomerRejection::NotMerged => forbidden("NOT_MERGED"),
        // It was merged elsewhere, or was not any more, while the request was under way.
        CustomerRejection::NotAbsorbed(_) => forbidden("MERGERS_CHANGED"),
        CustomerRejection::MergedIntoItself => forbidden("MERGED_INTO_ITSELF"),
        CustomerRejection::KindsDiffer => forbidden("KINDS_DIFFER"),
        CustomerRejection::AffiliationsDiffer => forbidden("AFFILIATIONS_DIFFER"),
        CustomerRejection::TooManyMerged => forbidden("TOO_MANY_MERGED"),
        CustomerRejection::NoSuchIdentifier => status::not_found("identifier", "identifier"),
        CustomerRejection::RelationEnded => forbidden("RELATION_ENDED"),
        CustomerRejection::RelationPermanent => forbidden("RELATION_PERMANENT"),
    }
}

fn erased(customer: CustomerId) -> Status {
    status::failed_precondition(
        "CUSTOMER_ERASED",
        &format!("customer/{customer}"),
        "the customer was erased",
    )
}

/// More customers are related, one to the next, than are looked at.
pub(super) fn hierarchy_too_large(customer: CustomerId) -> Status {
    status::failed_precondition(
        "HIERARCHY_TOO_LARGE",
        &format!("customer/{customer}"),
        "more than 1000 customers are related, one to the next",
    )
}
