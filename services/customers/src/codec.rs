//! Domain events as the protobuf events of the contract, which are what is stored and what is published.

mod claim;
mod customer;
mod fields;

pub(crate) use claim::is_of_claim;
pub(crate) use customer::{
    CUSTOMER_ABSORBED, CUSTOMER_SEPARATED, CUSTOMER_UNMERGED, LIFECYCLE_STAGE_CHANGED,
    decode_details, encode_details,
};

#[cfg(test)]
mod golden;
