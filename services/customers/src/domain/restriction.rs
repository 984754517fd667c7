//! That what is known of a customer may be kept, and not be processed (GDPR article 18).

use time::OffsetDateTime;

/// Why (paragraph 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RestrictionReason {
    /// The customer contests that what is known is accurate, and it is being verified.
    AccuracyContested,
    /// Processing was unlawful, and the customer does not want to be erased.
    ProcessingUnlawful,
    /// The customer needs what is known for legal claims.
    LegalClaims,
    /// The customer objected, and it is being verified whose grounds prevail.
    ObjectionPending,
}

/// Whether processing is restricted, and since when it is so. What was lifted has a moment too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Restriction {
    /// Why; none where it is not.
    pub(crate) reason: Option<RestrictionReason>,
    /// When that last changed.
    pub(crate) since: Option<OffsetDateTime>,
}
