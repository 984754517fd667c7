//! What makes two names alike: for finding a customer by name, and for finding customers who may be the same. Pure.

pub(crate) mod duplicate;
mod fold;
mod loose;
mod segments;
mod sound;

pub(crate) use fold::NameWords;
pub(crate) use loose::loose_keys;
pub(crate) use segments::{query_segments, segments, typos};
pub(crate) use sound::sound;
