//! One attempt at deciding for everyone in the audience of a campaign.

use aggregate::CustomerId;
use contracts::{
    common::v1::{EventMetadata, GetHeadsRequest, log_service_client::LogServiceClient},
    segmentation::v1::{
        ListSegmentMembersRequest, ListSegmentMembersResponse, SegmentMember,
        segmentation_service_client::SegmentationServiceClient,
    },
};
use event_log::{CommandError, ConsistencyToken, Request, Stream, timestamp};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use service::clock;
use time::OffsetDateTime;
use tokio::time::Instant;
use tonic::Status;
use tracing::Instrument as _;

use super::{AudienceError, Audiences, WAIT_MAX};
use crate::{
    codec::{self, LogEvent},
    domain::{
        Campaign, CampaignCommand, CampaignEvent, CampaignState, Consent, DecideContact, Obstacles,
        Plan, Recipient,
    },
    react::{ConsentsProjection, consents_at, merged_at, restricted_at},
    read_model::{CampaignsProjection, DecidingCampaign, counts},
};

/// Members asked for at once.
const PAGE_SIZE: i32 = 1000;
/// Decisions under way at once: enough that they share commits.
const DECISIONS_IN_FLIGHT: usize = 64;

/// A campaign that decides.
struct Deciding<'a> {
    campaign: &'a DecidingCampaign,
    plan: Plan,
    effective_at: OffsetDateTime,
    retrospective: bool,
    /// Metadata of what is decided: caused by the start of the campaign.
    metadata: EventMetadata,
}

impl Deciding<'_> {
    fn request(&self) -> Request {
        Request {
            tenant: self.campaign.tenant.clone(),
            metadata: self.metadata.clone(),
            now: clock::now(),
            idempotency: None,
            validate_only: false,
        }
    }

    fn command(&self, member: &Member, seen: Seen, now: OffsetDateTime) -> DecideContact {
        DecideContact {
            customer: member.customer,
            campaign: self.campaign.id,
            channel: self.plan.channel,
            offer: self.plan.offer.name.clone(),
            consent: seen.consent,
            obstacles: seen.obstacles,
            segment: self.plan.segment,
            segment_rule_version: member.rule_version,
            seed: self.plan.seed,
            holdout_share: self.plan.holdout_share,
            effective_at: self.effective_at,
            decided_at: now,
            retrospective: self.retrospective,
        }
    }
}

/// A member of the segment.
struct Member {
    customer: CustomerId,
    rule_version: u32,
}

/// What the gate sees of a member.
#[derive(Clone, Copy)]
struct Seen {
    consent: Option<Consent>,
    obstacles: Obstacles,
}

impl Audiences {
    /// Decides for everyone who is not decided on yet, then closes the audience. Nothing happens when that was done before.
    pub(super) async fn decide(&self, campaign: &DecidingCampaign) -> Result<(), AudienceError> {
        let Some(deciding) = self.deciding(campaign).await? else {
            return Ok(());
        };
        let span = tracing::info_span!("decide_audience", campaign_id = %campaign.id);
        telemetry::set_parent(&span, &deciding.metadata.traceparent);
        async {
            self.know_consents(&deciding).await?;
            let rule_version = self.decide_members(&deciding).await?;
            self.close(&deciding, rule_version).await
        }
        .instrument(span)
        .await
    }

    /// The campaign with what caused it to decide; none when it does not decide any more.
    async fn deciding<'a>(
        &self,
        campaign: &'a DecidingCampaign,
    ) -> Result<Option<Deciding<'a>>, AudienceError> {
        let stream = Stream::of_own(&campaign.tenant, campaign.id.into());
        let loaded = self.log.load::<Campaign>(&stream).await?;
        let Some((
            plan,
            CampaignState::Deciding {
                effective_at,
                retrospective,
            },
        )) = loaded.state.created()
        else {
            return Ok(None);
        };
        let mut metadata = EventMetadata::default();
        for event in self.log.read_stream(&stream).await? {
            let decoded = codec::decode(&event).map_err(event_log::LogError::from)?;
            if matches!(decoded, LogEvent::Campaign(CampaignEvent::Started { .. })) {
                metadata = event.metadata().unwrap_or_default();
                metadata.causation_id = event.event_id.to_string();
            }
        }
        "service:campaigns".clone_into(&mut metadata.actor);
        Ok(Some(Deciding {
            campaign,
            plan: plan.clone(),
            effective_at,
            retrospective,
            metadata,
        }))
    }

    /// Waits until all consents are known that the customers service knows by now: none that was withdrawn before the campaign
    /// was started may be taken for standing.
    async fn know_consents(&self, deciding: &Deciding<'_>) -> Result<(), AudienceError> {
        let mut customers =
            LogServiceClient::new(self.customers.for_tenant(&deciding.campaign.tenant));
        let heads = customers
            .get_heads(GetHeadsRequest {})
            .await
            .map_err(|status| in_vain("customers", status))?;
        let tokens = ConsistencyToken::parse_all(&heads.into_inner().consistency_token)?;
        let deadline = Instant::now() + WAIT_MAX;
        Ok(self
            .log
            .wait_for(&ConsentsProjection, "customers", &tokens, deadline)
            .await?)
    }

    /// Decides for all members of the segment; returns the version of the rule that selected them.
    async fn decide_members(&self, deciding: &Deciding<'_>) -> Result<u32, AudienceError> {
        let mut rule_version = None;
        let mut page_token = String::new();
        loop {
            let page = self.members(deciding, &page_token).await?;
            if rule_version
                .replace(page.rule_version)
                .is_some_and(|before| before != page.rule_version)
            {
                // The rule changed between two pages: one rule must have been asked about everyone.
                page_token.clear();
                continue;
            }
            let members: Vec<Member> = page.members.iter().map(member).collect::<Result<_, _>>()?;
            self.decide_page(deciding, &members).await?;
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(page.rule_version);
            }
        }
    }

    async fn members(
        &self,
        deciding: &Deciding<'_>,
        page_token: &str,
    ) -> Result<ListSegmentMembersResponse, AudienceError> {
        let mut segmentation =
            SegmentationServiceClient::new(self.segmentation.for_tenant(&deciding.campaign.tenant));
        let request = ListSegmentMembersRequest {
            segment_id: deciding.plan.segment.to_string(),
            as_of: deciding
                .retrospective
                .then(|| timestamp::to_proto(deciding.effective_at)),
            page_size: PAGE_SIZE,
            page_token: page_token.to_owned(),
            consistency_token: String::new(),
        };
        let page = segmentation
            .list_segment_members(request)
            .await
            .map_err(|status| in_vain("segmentation", status))?;
        Ok(page.into_inner())
    }

    async fn decide_page(
        &self,
        deciding: &Deciding<'_>,
        members: &[Member],
    ) -> Result<(), AudienceError> {
        let customers: Vec<CustomerId> = members.iter().map(|member| member.customer).collect();
        // A campaign that contacts now goes by all that is known now: a withdrawal after its start counts.
        let moment = deciding.retrospective.then_some(deciding.effective_at);
        let consents = consents_at(
            self.log.pool(),
            &deciding.campaign.tenant,
            &customers,
            deciding.plan.channel,
            deciding.plan.purpose,
            moment,
            deciding.request().now,
        )
        .await?;
        let restricted = restricted_at(
            self.log.pool(),
            &deciding.campaign.tenant,
            &customers,
            moment,
        )
        .await?;
        let merged = merged_at(
            self.log.pool(),
            &deciding.campaign.tenant,
            &customers,
            moment,
        )
        .await?;
        stream::iter(members)
            .map(Ok)
            .try_for_each_concurrent(DECISIONS_IN_FLIGHT, |member| {
                let seen = Seen {
                    consent: consents.get(&member.customer).copied(),
                    obstacles: Obstacles {
                        merged: merged.contains(&member.customer),
                        restricted: restricted.contains(&member.customer),
                    },
                };
                self.decide_one(deciding, member, seen)
            })
            .await
    }

    async fn decide_one(
        &self,
        deciding: &Deciding<'_>,
        member: &Member,
        seen: Seen,
    ) -> Result<(), AudienceError> {
        let stream =
            Stream::of_customer(&deciding.campaign.tenant, member.customer).without_subject();
        let request = deciding.request();
        let command = deciding.command(member, seen, request.now);
        let decided = self
            .log
            .execute::<Recipient, _>(&request, &stream, &command, |_| ())
            .await;
        match decided {
            Ok(_) => Ok(()),
            Err(CommandError::Rejected(never)) => match never {},
            // These commands carry no request id.
            Err(CommandError::IdempotencyMismatch | CommandError::Contended) => {
                Err(AudienceError::Contended)
            }
            Err(CommandError::Failed(error)) => Err(error.into()),
        }
    }

    /// Closes the audience once the read model shows every decision, so that whoever sees a running campaign sees all its counts.
    async fn close(
        &self,
        deciding: &Deciding<'_>,
        segment_rule_version: u32,
    ) -> Result<(), AudienceError> {
        let DecidingCampaign { tenant, id } = deciding.campaign;
        self.catch_up().await?;
        let counted = counts(self.log.pool(), tenant, &[*id]).await?;
        let audience = counted
            .get(id)
            .map_or(0, crate::read_model::Counts::decided);
        let stream = Stream::of_own(tenant, (*id).into());
        let command = CampaignCommand::CloseAudience {
            id: *id,
            audience,
            segment_rule_version,
        };
        let closed = self
            .log
            .execute::<Campaign, _>(&deciding.request(), &stream, &command, |_| ())
            .await;
        let token = match closed {
            Ok(committed) => committed.token,
            // It decided a moment ago; another process was faster.
            Err(CommandError::Rejected(_)) => return Ok(()),
            Err(CommandError::IdempotencyMismatch | CommandError::Contended) => {
                return Err(AudienceError::Contended);
            }
            Err(CommandError::Failed(error)) => return Err(error.into()),
        };
        tracing::info!(audience, "the audience is decided");
        // Only then is it no longer found as work to do.
        let deadline = Instant::now() + WAIT_MAX;
        Ok(self
            .log
            .wait_for(&CampaignsProjection, self.log.name(), &[token], deadline)
            .await?)
    }
}

fn member(member: &SegmentMember) -> Result<Member, AudienceError> {
    Ok(Member {
        customer: member.customer_id.parse()?,
        rule_version: member.rule_version,
    })
}

fn in_vain(service: &'static str, status: Status) -> AudienceError {
    AudienceError::Peer {
        service,
        source: Box::new(status),
    }
}
