//! Segments and their rules.

use aggregate::Aggregate;
use contracts::segmentation::v1 as pb;
use event_log::{CommandError, Committed, Decision, Loaded, Stream};
use prost::Message as _;
use service::{Caller, command, page, status};
use tokio::time::Instant;
use tonic::Status;

use super::{Api, in_time, parse};
use crate::{
    domain::{
        ClaimName, NameClaim, NameTaken, Segment, SegmentCommand, SegmentId, SegmentName,
        SegmentRejection,
    },
    progress,
    read_model::{Catalogue, segments},
};

/// Why a segment is not defined.
enum Refusal {
    NameTaken,
    Segment(SegmentRejection),
}

/// The same failure with its refusal among others.
fn among<R, S>(error: CommandError<R>, refusal: impl FnOnce(R) -> S) -> CommandError<S> {
    match error {
        CommandError::Rejected(rejection) => CommandError::Rejected(refusal(rejection)),
        CommandError::IdempotencyMismatch => CommandError::IdempotencyMismatch,
        CommandError::Contended => CommandError::Contended,
        CommandError::Failed(error) => CommandError::Failed(error),
    }
}

fn rejected(segment: SegmentId, rejection: SegmentRejection) -> Status {
    match rejection {
        SegmentRejection::AlreadyDefined => {
            status::already_exists("segment", &segment.to_string(), "SEGMENT_ALREADY_DEFINED")
        }
        SegmentRejection::NotDefined => status::not_found("segment", &segment.to_string()),
    }
}

fn message(id: SegmentId, segment: &Segment) -> pb::Segment {
    pb::Segment {
        segment_id: id.to_string(),
        name: segment.name.clone(),
        rule: segment.rule.clone(),
        rule_version: segment.rule_version,
        members: 0,
    }
}

impl Api {
    pub(super) async fn define(
        &self,
        caller: &Caller,
        deadline: Instant,
        request: &pb::DefineSegmentRequest,
    ) -> Result<pb::DefineSegmentResponse, Status> {
        let name: SegmentName = parse::id("name", &request.name)?;
        let rule = parse::rule(&request.rule)?;
        let log = &self.log;
        let command = caller
            .command(log, self.retention, &request.request_id, request)
            .await?;
        let segment = SegmentId(caller.derive_id(&request.request_id, "segment"));
        let segment_stream = Stream::of_own(&caller.tenant, segment.into());
        let name_id = caller.derive_id(name.as_str(), NameClaim::TYPE);
        let name_stream = Stream::of_own(&caller.tenant, aggregate::StreamId(name_id));
        let claim = ClaimName {
            name: name.clone(),
            segment,
        };
        let define = SegmentCommand::Define {
            segment,
            name,
            rule,
        };
        let committed = log
            .transact(&command, || async {
                let mut owner = log.load::<NameClaim>(&name_stream).await?;
                let claimed = owner
                    .decide(&claim, &command)
                    .map_err(|error| among(error, |NameTaken { .. }| Refusal::NameTaken))?;
                let mut loaded = log.load::<Segment>(&segment_stream).await?;
                let defined = loaded
                    .decide(&define, &command)
                    .map_err(|error| among(error, Refusal::Segment))?;
                let response = pb::DefineSegmentResponse {
                    segment: Some(message(segment, &loaded.state)),
                    consistency_token: String::new(),
                };
                Ok(Decision::new([defined, claimed], &response))
            })
            .await
            .map_err(|error| {
                command::refused(error, |refusal| match refusal {
                    Refusal::NameTaken => {
                        status::already_exists("segment", &request.name, "SEGMENT_NAME_TAKEN")
                    }
                    Refusal::Segment(rejection) => rejected(segment, rejection),
                })
            })?;
        let mut response = pb::DefineSegmentResponse::decode(&*committed.response)
            .map_err(|error| status::internal(&error))?;
        self.evaluated(caller, deadline, &committed, response.segment.as_mut())
            .await?;
        response.consistency_token = self.token().await?;
        Ok(response)
    }

    pub(super) async fn update(
        &self,
        caller: &Caller,
        deadline: Instant,
        request: &pb::UpdateSegmentRequest,
    ) -> Result<pb::UpdateSegmentResponse, Status> {
        let segment: SegmentId = parse::id("segment_id", &request.segment_id)?;
        let rule = parse::rule(&request.rule)?;
        let command = caller
            .command(&self.log, self.retention, &request.request_id, request)
            .await?;
        let stream = Stream::of_own(&caller.tenant, segment.into());
        let respond = |loaded: &Loaded<Segment>| pb::UpdateSegmentResponse {
            segment: Some(message(segment, &loaded.state)),
            consistency_token: String::new(),
        };
        let committed = self
            .log
            .execute(
                &command,
                &stream,
                &SegmentCommand::ChangeRule { rule },
                respond,
            )
            .await
            .map_err(|error| command::refused(error, |rejection| rejected(segment, rejection)))?;
        let mut response = pb::UpdateSegmentResponse::decode(&*committed.response)
            .map_err(|error| status::internal(&error))?;
        self.evaluated(caller, deadline, &committed, response.segment.as_mut())
            .await?;
        response.consistency_token = self.token().await?;
        Ok(response)
    }

    /// Waits until everyone was evaluated for the segment's rule, and counts the members.
    async fn evaluated(
        &self,
        caller: &Caller,
        deadline: Instant,
        committed: &Committed,
        segment: Option<&mut pb::Segment>,
    ) -> Result<(), Status> {
        let Some(segment) = segment else {
            return Ok(());
        };
        let id: SegmentId = parse::id("segment_id", &segment.segment_id)?;
        let token = committed.token.to_string();
        caller
            .wait(&self.log, &Catalogue, progress::OWN, &token)
            .await?;
        let evaluated = self
            .worker
            .evaluated(&caller.tenant, id, segment.rule_version);
        in_time(deadline, evaluated).await?;
        segment.members = segments::members_count(self.log.pool(), &caller.tenant, id)
            .await
            .map_err(command::database)?;
        Ok(())
    }

    /// A segment as it stands in its stream.
    pub(super) async fn defined_segment(
        &self,
        caller: &Caller,
        segment: SegmentId,
    ) -> Result<Segment, Status> {
        let stream = Stream::of_own(&caller.tenant, segment.into());
        let loaded = self
            .log
            .load::<Segment>(&stream)
            .await
            .map_err(command::failed)?;
        if loaded.version == 0 {
            return Err(status::not_found("segment", &segment.to_string()));
        }
        Ok(loaded.state)
    }

    pub(super) async fn segment_by_id(
        &self,
        caller: &Caller,
        request: &pb::GetSegmentRequest,
    ) -> Result<pb::GetSegmentResponse, Status> {
        let id: SegmentId = parse::id("segment_id", &request.segment_id)?;
        let segment = self.defined_segment(caller, id).await?;
        let members = segments::members_count(self.log.pool(), &caller.tenant, id)
            .await
            .map_err(command::database)?;
        Ok(pb::GetSegmentResponse {
            segment: Some(pb::Segment {
                members,
                ..message(id, &segment)
            }),
        })
    }

    pub(super) async fn segments(
        &self,
        caller: &Caller,
        request: &pb::ListSegmentsRequest,
    ) -> Result<pb::ListSegmentsResponse, Status> {
        let query = page::Query::new("ListSegments").with(caller.tenant.as_str());
        let after: Option<String> = query.cursor(&request.page_token)?;
        let size = page::size(request.page_size, &self.limits)?;
        let pool = self.log.pool();
        let mut rows = segments::page(pool, &caller.tenant, &after.unwrap_or_default(), size + 1)
            .await
            .map_err(command::database)?;
        let more = rows.len() > size as usize;
        rows.truncate(size as usize);
        let next_page_token = match rows.last() {
            Some((last, _)) if more => query.token(&last.name),
            Some(_) | None => String::new(),
        };
        let segments = rows.into_iter().map(|(row, members)| pb::Segment {
            segment_id: row.segment.to_string(),
            name: row.name,
            rule: row.rule,
            rule_version: row.rule_version,
            members,
        });
        Ok(pb::ListSegmentsResponse {
            segments: segments.collect(),
            next_page_token,
        })
    }
}
