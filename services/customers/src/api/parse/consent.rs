//! Consents given and withdrawn.

use contracts::customers::v1 as pb;
use event_log::timestamp;
use service::status::Violations;
use time::OffsetDateTime;

use crate::{
    domain::{
        Label, Reference,
        consent::{ConsentScope, Grant},
        customer::CustomerCommand,
    },
    wire,
};

/// Consent that was given.
pub(in crate::api) fn consent(
    violations: &mut Violations,
    request: &pb::RecordConsentRequest,
    now: OffsetDateTime,
) -> Option<CustomerCommand> {
    let scope = scope(violations, request.channel, request.purpose);
    let legal_basis = wire::parse_legal_basis(request.legal_basis);
    violations.check(legal_basis.is_some(), "legal_basis", "must be given");
    let wording_version =
        violations.parsed("wording_version", Label::parse(&request.wording_version));
    let source = violations.parsed("source", Label::parse(&request.source));
    let evidence = super::optional(
        violations,
        "evidence_reference",
        &request.evidence_reference,
        Reference::parse,
    );
    let at = super::happened(violations, "given_time", request.given_time.as_ref(), now);
    let expires_at = request.expire_time.as_ref().map(timestamp::from_proto);
    let expires_at = expires_at.and_then(|moment| violations.parsed("expire_time", moment));
    let ends_later = at.zip(expires_at).is_none_or(|(at, end)| at < end);
    violations.check(ends_later, "expire_time", "must be later than given_time");
    Some(CustomerCommand::RecordConsent {
        scope: scope?,
        grant: Grant {
            legal_basis: legal_basis?,
            wording_version: wording_version?,
            source: source?,
            evidence,
            expires_at,
        },
        at: at?,
    })
}

/// Consent that was withdrawn.
pub(in crate::api) fn withdrawal(
    violations: &mut Violations,
    request: &pb::WithdrawConsentRequest,
    now: OffsetDateTime,
) -> Option<CustomerCommand> {
    let scope = scope(violations, request.channel, request.purpose);
    let source = violations.parsed("source", Label::parse(&request.source));
    let at = super::happened(
        violations,
        "withdrawn_time",
        request.withdrawn_time.as_ref(),
        now,
    );
    Some(CustomerCommand::WithdrawConsent {
        scope: scope?,
        source: source?,
        at: at?,
    })
}

fn scope(violations: &mut Violations, channel: i32, purpose: i32) -> Option<ConsentScope> {
    let channel = wire::parse_channel(channel);
    violations.check(channel.is_some(), "channel", "must be given");
    let purpose = wire::parse_purpose(purpose);
    violations.check(purpose.is_some(), "purpose", "must be given");
    Some(ConsentScope {
        channel: channel?,
        purpose: purpose?,
    })
}
