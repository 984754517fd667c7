//! Domain events as the protobuf events of the contract, which are what is stored and what is published.

mod claim;
mod customer;
mod fields;

pub(crate) use claim::IDENTIFIER_CLAIMED;

#[cfg(test)]
mod golden;
