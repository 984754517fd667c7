//! What segmentation knows and decides. Pure: the time, ids and what others recorded are inputs.

mod fit;
mod ids;
pub mod models;
mod name;
mod rfm;
pub mod rule;
mod scoring;
mod segment;
mod standing;
mod tier;
mod validation;

pub use fit::{AlreadyFitted, Fit, FitError, ModelsFitted, RecordFit, ValueFit, fit_models};
pub use ids::{FitId, SegmentId};
pub use name::{ClaimName, NameClaim, NameClaimed, NameTaken, SegmentName};
pub use rfm::{CutPoints, Rfm};
pub use scoring::{History, Score, score};
pub use segment::{Segment, SegmentCommand, SegmentEvent, SegmentRejection};
pub use standing::{Cause, Change, Standing, StandingCommand, StandingEvent, Verdict};
pub use tier::{TIER_POLICY_VERSION, Tier, TierPolicy};
pub use validation::{Group, Validation, validate};
