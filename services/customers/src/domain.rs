//! Who the customers are, by what they are known and what they have agreed to. Pure: no I/O, no clock, no randomness.
//!
//! Two aggregates: [`Customer`], and [`IdentifierClaim`], which keeps an identifier to one owner at a time.

pub(crate) mod address;
pub(crate) mod claim;
pub(crate) mod consent;
pub(crate) mod customer;
pub(crate) mod erasure;
pub(crate) mod identifier;
pub(crate) mod lifecycle;
pub(crate) mod matching;
pub(crate) mod merger;
pub(crate) mod office;
pub(crate) mod person;
pub(crate) mod place;
pub(crate) mod profile;
pub(crate) mod relation;
pub(crate) mod restriction;
mod text;
pub(crate) mod trade;

pub(crate) use claim::IdentifierClaim;
pub(crate) use customer::Customer;
pub(crate) use text::{Label, Name, Reference};
