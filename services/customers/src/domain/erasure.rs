//! That everything personal of a customer went, and why.

use time::OffsetDateTime;

/// Why somebody is erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ErasureReason {
    /// The customer asked for it (GDPR article 17, KVKK article 7).
    SubjectRequest,
    /// What is known is no longer needed, or was kept for as long as the policy says.
    RetentionExpired,
    /// A court or an authority ordered it.
    LegalOrder,
}

/// That somebody was erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Erasure {
    /// Why.
    pub(crate) reason: ErasureReason,
    /// When.
    pub(crate) at: OffsetDateTime,
}
