//! The protobuf contracts of all services, generated; nothing else. It is all that services share of each other.

#![allow(
    missing_docs,
    clippy::all,
    clippy::missing_errors_doc,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    rustdoc::all,
    reason = "generated code; the documentation stands in the protos"
)]

/// The descriptors of all protos, for gRPC reflection and for those who decode events without generated code.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

pub mod common {
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/vefa.common.v1.rs"));
    }
}

pub mod customers {
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/vefa.customers.v1.rs"));
    }
}

pub mod interactions {
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/vefa.interactions.v1.rs"));
    }
}

pub mod segmentation {
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/vefa.segmentation.v1.rs"));
    }
}

pub mod campaigns {
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/vefa.campaigns.v1.rs"));
    }
}
