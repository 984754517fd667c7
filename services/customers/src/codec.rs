//! Domain events as the protobuf events of the contract, which are what is stored and what is published.

mod claim;
mod customer;
mod fields;

pub(crate) use claim::is_of_claim;

#[cfg(test)]
mod golden;
