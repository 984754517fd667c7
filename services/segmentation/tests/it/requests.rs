//! Requests, and what comes of them.

use std::collections::BTreeSet;

use aggregate::CustomerId;
use contracts::segmentation::v1::{self as pb, MembershipCause};
use event_log::timestamp;
use prost::Message as _;
use testing::{eventually, stack::SOON};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::stack::{Client, Stack};

pub(crate) fn moment(at: OffsetDateTime) -> Option<prost_types::Timestamp> {
    Some(timestamp::to_proto(at))
}

pub(crate) fn define_request(name: &str, rule: &str) -> pb::DefineSegmentRequest {
    pb::DefineSegmentRequest {
        request_id: Uuid::new_v4().to_string(),
        name: name.to_owned(),
        rule: rule.to_owned(),
    }
}

/// Defines a segment; it is evaluated then.
pub(crate) async fn define(client: &mut Client, name: &str, rule: &str) -> pb::Segment {
    let answer = client
        .define_segment(define_request(name, rule))
        .await
        .unwrap();
    answer.into_inner().segment.unwrap()
}

/// The recorded members of a segment once it shows what was fed so far.
pub(crate) async fn members(
    stack: &Stack,
    client: &mut Client,
    segment: &pb::Segment,
) -> BTreeSet<CustomerId> {
    let request = pb::ListSegmentMembersRequest {
        segment_id: segment.segment_id.clone(),
        page_size: 1000,
        consistency_token: stack.fed().await,
        ..pb::ListSegmentMembersRequest::default()
    };
    let answer = client
        .list_segment_members(request)
        .await
        .unwrap()
        .into_inner();
    ids(&answer)
}

pub(crate) fn ids(answer: &pb::ListSegmentMembersResponse) -> BTreeSet<CustomerId> {
    answer
        .members
        .iter()
        .map(|member| member.customer_id.parse().unwrap())
        .collect()
}

/// A membership that changed, as its event tells.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Moved {
    pub(crate) customer: CustomerId,
    pub(crate) entered: bool,
    pub(crate) rule_version: u32,
    pub(crate) cause: MembershipCause,
    pub(crate) cause_event: Option<Uuid>,
}

impl Moved {
    pub(crate) fn new(
        customer: CustomerId,
        entered: bool,
        rule_version: u32,
        cause: MembershipCause,
    ) -> Self {
        Self {
            customer,
            entered,
            rule_version,
            cause,
            cause_event: None,
        }
    }

    pub(crate) fn by(self, event: Uuid) -> Self {
        Self {
            cause_event: Some(event),
            ..self
        }
    }
}

/// All changes of a segment's members, as the log has them.
pub(crate) async fn moves(stack: &Stack, segment: &pb::Segment) -> Vec<Moved> {
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(
        "select type, payload from event where type like '%.SegmentEntered' or type like '%.SegmentLeft'
         order by partition, position",
    )
    .fetch_all(&stack.pool)
    .await
    .unwrap();
    let moves = rows.into_iter().filter_map(|(type_, payload)| {
        let entered = type_.ends_with("Entered");
        // The two messages have the same fields.
        let message = pb::SegmentEntered::decode(&*payload).unwrap();
        (message.segment_id == segment.segment_id).then(|| Moved {
            customer: message.customer_id.parse().unwrap(),
            entered,
            rule_version: message.rule_version,
            cause: message.cause(),
            cause_event: message.cause_event_id.parse().ok(),
        })
    });
    moves.collect()
}

/// The same, once there are as many as expected.
pub(crate) async fn moved(stack: &Stack, segment: &pb::Segment, expected: usize) -> Vec<Moved> {
    eventually(SOON, &format!("{expected} changes of members"), || async {
        let moves = moves(stack, segment).await;
        assert!(moves.len() <= expected, "{moves:?}");
        (moves.len() == expected).then_some(moves)
    })
    .await
}
