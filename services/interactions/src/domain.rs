//! What interactions are and when one may be recorded. Pure: no I/O, no clock, no randomness, no async.

pub(crate) mod lines;
pub(crate) mod moment;
pub(crate) mod purchase;
pub(crate) mod source_key;
pub(crate) mod text;
pub(crate) mod touchpoint;
