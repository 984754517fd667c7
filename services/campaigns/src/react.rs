//! What this service takes over from the logs of others: consents of customers, purchases of interactions. Rows of facts only;
//! nothing is decided here.

mod consents;
mod mergers;
mod purchases;
mod restrictions;
mod standing;

pub(crate) use consents::{ConsentsProjection, consents_at};
pub(crate) use mergers::merged_at;
pub(crate) use purchases::{KIND_PURCHASE, PurchasesProjection};
pub(crate) use restrictions::restricted_at;
