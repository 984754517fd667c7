//! `ModelsFitted`.

use contracts::segmentation::v1 as pb;
use event_log::{DecodeError, Encoded, Seal, SealError, Stored, StoredEvent, SubjectCipher};

use super::fit;
use crate::domain::{ModelsFitted, ValueFit};

/// Type of the event of a fit.
pub(crate) const MODELS_FITTED: &str = "vefa.segmentation.v1.ModelsFitted";

impl Stored for ValueFit {
    fn encode(event: &ModelsFitted, _: &Seal<'_>) -> Result<Encoded, SealError> {
        let message = pb::ModelsFitted {
            fit: Some(fit::message(&event.0)),
        };
        Ok(Encoded::v1(MODELS_FITTED, &message))
    }

    fn decode(event: &StoredEvent, _: &SubjectCipher) -> Result<ModelsFitted, DecodeError> {
        match (event.type_.as_str(), event.schema_version) {
            (MODELS_FITTED, 1) => {
                let message: pb::ModelsFitted = event.message()?;
                message
                    .fit
                    .as_ref()
                    .and_then(fit::of_message)
                    .map(ModelsFitted)
                    .ok_or_else(|| DecodeError::invalid(event, "fit"))
            }
            _ => Err(DecodeError::unknown(event)),
        }
    }
}
