//! What follows from the log of interactions, and from time: the stage of life that a customer comes to by buying and by silence.

mod purchases;
mod rows;
mod stages;

pub(crate) use purchases::PurchasesProjection;
pub(crate) use stages::{ACTOR, Stages, review};
