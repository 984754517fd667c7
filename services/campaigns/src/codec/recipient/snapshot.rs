//! The folded state of a recipient as it is kept.

use event_log::{Snapshot, timestamp};
use prost::Message as _;
use prost_types::Timestamp;
use uuid::Uuid;

use crate::{
    domain::{CampaignId, Recipient, Verdict},
    wire,
};

/// Any change of the messages below, or of what events make of a recipient, raises the version.
pub(super) const FORMAT: Snapshot<Recipient> = Snapshot {
    schema_version: 1,
    encode: |recipient| KeptRecipient::from(recipient).encode_to_vec(),
    decode: |bytes| KeptRecipient::decode(bytes).ok()?.recipient(),
};

#[derive(Clone, PartialEq, prost::Message)]
struct KeptRecipient {
    #[prost(message, repeated, tag = "1")]
    verdicts: Vec<KeptVerdict>,
    #[prost(message, optional, tag = "2")]
    last_contact_at: Option<Timestamp>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeptVerdict {
    #[prost(bytes = "vec", tag = "1")]
    campaign: Vec<u8>,
    #[prost(int32, tag = "2")]
    verdict: i32,
    /// Unspecified unless refused.
    #[prost(int32, tag = "3")]
    reason: i32,
}

impl From<&Recipient> for KeptRecipient {
    fn from(recipient: &Recipient) -> Self {
        let kept = |(campaign, verdict): (CampaignId, Verdict)| {
            let (verdict, reason) = wire::verdict(verdict);
            KeptVerdict {
                campaign: campaign.0.into(),
                verdict: verdict.into(),
                reason: reason.into(),
            }
        };
        Self {
            verdicts: recipient.verdicts().map(kept).collect(),
            last_contact_at: recipient.last_contact_at().map(timestamp::to_proto),
        }
    }
}

impl KeptRecipient {
    fn recipient(self) -> Option<Recipient> {
        let verdicts = self.verdicts.into_iter().map(|kept| {
            let campaign = CampaignId(Uuid::from_slice(&kept.campaign).ok()?);
            Some((campaign, wire::parse_verdict(kept.verdict, kept.reason)?))
        });
        let verdicts: Vec<_> = verdicts.collect::<Option<_>>()?;
        let last_contact_at = match self.last_contact_at {
            None => None,
            Some(at) => Some(timestamp::from_proto(&at).ok()?),
        };
        Some(Recipient::of(verdicts, last_contact_at))
    }
}
