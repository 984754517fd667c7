//! Who belongs to a segment, who would, and why.

use aggregate::CustomerId;
use contracts::segmentation::v1 as pb;
use event_log::timestamp;
use service::{Caller, command, page, status};
use tonic::Status;
use uuid::Uuid;

use super::{Api, parse};
use crate::{
    domain::{Segment, SegmentId},
    evaluate::statement,
    read_model::{mergers, segments},
};

const SAMPLE_MAX: u32 = 100;
/// Value of a node that is missing, and of the whole rule for a member.
const MISSING: &str = "null";
const TRUE: &str = "true";

impl Api {
    pub(super) async fn preview(
        &self,
        caller: &Caller,
        request: &pb::PreviewSegmentRequest,
    ) -> Result<pb::PreviewSegmentResponse, Status> {
        let rule = parse::rule(&request.rule)?;
        let as_of = parse::optional_moment("as_of", request.as_of.as_ref())?;
        let sample_size = parse::up_to("sample_size", request.sample_size, SAMPLE_MAX)?;
        self.wait(caller, &request.consistency_token).await?;
        let now = as_of.unwrap_or(caller.now);
        let selection = statement::select(self.log.pool(), &caller.tenant, now, &rule, sample_size)
            .await
            .map_err(command::database)?;
        Ok(pb::PreviewSegmentResponse {
            members: selection.members,
            customers: selection.customers,
            sample_customer_ids: selection.sample.iter().map(CustomerId::to_string).collect(),
        })
    }

    pub(super) async fn members(
        &self,
        caller: &Caller,
        request: &pb::ListSegmentMembersRequest,
    ) -> Result<pb::ListSegmentMembersResponse, Status> {
        let id: SegmentId = parse::id("segment_id", &request.segment_id)?;
        let as_of = parse::optional_moment("as_of", request.as_of.as_ref())?;
        let size = page::size(request.page_size, &self.limits)?;
        let moment = as_of.map_or_else(String::new, |as_of| {
            as_of.unix_timestamp_nanos().to_string()
        });
        let query = page::Query::new("ListSegmentMembers")
            .with(caller.tenant.as_str())
            .with(id.0)
            .with(&moment);
        let after: Option<Uuid> = query.cursor(&request.page_token)?;
        let after = after.map(CustomerId);
        self.wait(caller, &request.consistency_token).await?;
        let segment = self.defined_segment(caller, id).await?;
        let (mut members, rule_version) = match as_of {
            None => self.recorded(caller, id, after, size + 1).await?,
            Some(as_of) => self.as_of(caller, &segment, as_of, after, size + 1).await?,
        };
        let more = members.len() > size as usize;
        members.truncate(size as usize);
        let next_page_token = match members.last() {
            Some((last, _)) if more => query.token(&last.0),
            Some(_) | None => String::new(),
        };
        Ok(pb::ListSegmentMembersResponse {
            members: members.into_iter().map(|(_, member)| member).collect(),
            next_page_token,
            rule_version,
        })
    }

    async fn recorded(
        &self,
        caller: &Caller,
        segment: SegmentId,
        after: Option<CustomerId>,
        limit: u32,
    ) -> Result<(Vec<(CustomerId, pb::SegmentMember)>, u32), Status> {
        let pool = self.log.pool();
        let members = segments::members(pool, &caller.tenant, segment, after, limit)
            .await
            .map_err(command::database)?;
        let evaluated = segments::evaluated_version(pool, &caller.tenant, segment)
            .await
            .map_err(command::database)?;
        let members = members.into_iter().map(|row| {
            let member = pb::SegmentMember {
                customer_id: row.customer.to_string(),
                entered_time: Some(timestamp::to_proto(row.entered_at)),
                rule_version: row.rule_version,
            };
            (row.customer, member)
        });
        Ok((members.collect(), evaluated.unwrap_or(0)))
    }

    async fn as_of(
        &self,
        caller: &Caller,
        segment: &Segment,
        as_of: time::OffsetDateTime,
        after: Option<CustomerId>,
        limit: u32,
    ) -> Result<(Vec<(CustomerId, pb::SegmentMember)>, u32), Status> {
        let rule = parse::rule(&segment.rule)?;
        let customers =
            statement::selected(self.log.pool(), &caller.tenant, as_of, &rule, after, limit)
                .await
                .map_err(command::database)?;
        let members = customers.into_iter().map(|customer| {
            let member = pb::SegmentMember {
                customer_id: customer.to_string(),
                entered_time: None,
                rule_version: segment.rule_version,
            };
            (customer, member)
        });
        Ok((members.collect(), segment.rule_version))
    }

    pub(super) async fn explanation(
        &self,
        caller: &Caller,
        request: &pb::ExplainMembershipRequest,
    ) -> Result<pb::ExplainMembershipResponse, Status> {
        let id: SegmentId = parse::id("segment_id", &request.segment_id)?;
        let customer: CustomerId = parse::id("customer_id", &request.customer_id)?;
        let as_of = parse::optional_moment("as_of", request.as_of.as_ref())?;
        let segment = self.defined_segment(caller, id).await?;
        let rule = parse::rule(&segment.rule)?;
        let now = as_of.unwrap_or(caller.now);
        let customer = mergers::who_goes_on(self.log.pool(), &caller.tenant, customer)
            .await
            .map_err(command::database)?;
        let nodes = statement::explain(self.log.pool(), &caller.tenant, now, &rule, customer)
            .await
            .map_err(command::database)?
            .ok_or_else(|| status::not_found("customer", &customer.to_string()))?;
        let member = nodes
            .first()
            .is_some_and(|(_, value)| value.as_deref() == Some(TRUE));
        let nodes = nodes.into_iter().map(|(node, value)| pb::ExplainedNode {
            expression: node.source,
            value: value.unwrap_or_else(|| MISSING.to_owned()),
            depth: u32::try_from(node.depth).unwrap_or(u32::MAX),
        });
        Ok(pb::ExplainMembershipResponse {
            member,
            nodes: nodes.collect(),
            rule_version: segment.rule_version,
        })
    }
}
