//! The commands that clients send, and of which events each consists.

use std::time::Duration;

use anyhow::Context;
use contracts::campaigns::v1::{CreateCampaignRequest, StartCampaignRequest};
use contracts::customers::v1::{
    AddIdentifierRequest, RecordConsentRequest, RegisterCustomerRequest, UpdateProfileRequest,
    WithdrawConsentRequest,
};
use contracts::interactions::v1::{PurchaseKind, RecordPurchaseRequest, RecordTouchpointRequest};
use contracts::segmentation::v1::DefineSegmentRequest;
use tonic::{Request, Status};

use crate::demo::client::Clients;
use crate::demo::service::Service;

/// The header whose value stands in the metadata of every event of a command.
const MARK_HEADER: &str = "x-correlation-id";

/// A command to one of the services.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    Register(RegisterCustomerRequest),
    UpdateProfile(UpdateProfileRequest),
    AddIdentifier(AddIdentifierRequest),
    RecordConsent(RecordConsentRequest),
    WithdrawConsent(WithdrawConsentRequest),
    RecordPurchase(RecordPurchaseRequest),
    RecordTouchpoint(RecordTouchpointRequest),
    DefineSegment(DefineSegmentRequest),
    CreateCampaign(CreateCampaignRequest),
    StartCampaign(StartCampaignRequest),
}

impl Command {
    /// Who decides it.
    pub(crate) fn service(&self) -> Service {
        match self {
            Self::Register(_)
            | Self::UpdateProfile(_)
            | Self::AddIdentifier(_)
            | Self::RecordConsent(_)
            | Self::WithdrawConsent(_) => Service::Customers,
            Self::RecordPurchase(_) | Self::RecordTouchpoint(_) => Service::Interactions,
            Self::DefineSegment(_) => Service::Segmentation,
            Self::CreateCampaign(_) | Self::StartCampaign(_) => Service::Campaigns,
        }
    }

    /// The events that it leads to, by their types' short names in order.
    pub(crate) fn events(&self) -> Vec<&'static str> {
        match self {
            Self::Register(request) => {
                let identifiers = request.identifiers.len();
                let mut events = vec!["CustomerRegistered"];
                events.extend(vec!["IdentifierAdded"; identifiers]);
                events.extend(vec!["IdentifierClaimed"; identifiers]);
                events
            }
            Self::UpdateProfile(_) => vec!["ProfileUpdated"],
            Self::AddIdentifier(_) => vec!["IdentifierAdded", "IdentifierClaimed"],
            Self::RecordConsent(_) => vec!["ConsentRecorded"],
            Self::WithdrawConsent(_) => vec!["ConsentWithdrawn"],
            Self::RecordPurchase(request) => {
                let kind = request.purchase.as_ref().map(|purchase| purchase.kind());
                vec![match kind {
                    Some(PurchaseKind::Return) => "ReturnRecorded",
                    Some(PurchaseKind::Purchase | PurchaseKind::Unspecified) | None => {
                        "PurchaseRecorded"
                    }
                }]
            }
            Self::RecordTouchpoint(_) => vec!["TouchpointRecorded"],
            Self::DefineSegment(_) => vec!["SegmentDefined", "SegmentNameClaimed"],
            Self::CreateCampaign(_) => vec!["CampaignCreated"],
            Self::StartCampaign(_) => vec!["CampaignStarted"],
        }
    }

    /// The types of event that nothing but a command of a client leads to.
    pub(crate) const EVENTS: [&'static str; 13] = [
        "CustomerRegistered",
        "IdentifierAdded",
        "IdentifierClaimed",
        "ProfileUpdated",
        "ConsentRecorded",
        "ConsentWithdrawn",
        "PurchaseRecorded",
        "ReturnRecorded",
        "TouchpointRecorded",
        "SegmentDefined",
        "SegmentNameClaimed",
        "CampaignCreated",
        "CampaignStarted",
    ];

    /// Sends it once. What is answered is the same in every repeat: what was done, its version, and the consistency token.
    pub(crate) async fn send(
        self,
        clients: &mut Clients,
        mark: &str,
        limit: Duration,
    ) -> Result<Done, Status> {
        match self {
            Self::Register(it) => {
                let answer = clients.customers.register_customer(call(it, mark, limit)?);
                let it = answer.await?.into_inner();
                Ok(Done::new([it.customer_id, it.etag], it.consistency_token))
            }
            Self::UpdateProfile(it) => {
                let answer = clients.customers.update_profile(call(it, mark, limit)?);
                let it = answer.await?.into_inner();
                Ok(Done::new([it.etag], it.consistency_token))
            }
            Self::AddIdentifier(it) => {
                let answer = clients.customers.add_identifier(call(it, mark, limit)?);
                let it = answer.await?.into_inner();
                Ok(Done::new([it.etag], it.consistency_token))
            }
            Self::RecordConsent(it) => {
                let answer = clients.customers.record_consent(call(it, mark, limit)?);
                let it = answer.await?.into_inner();
                Ok(Done::new([it.etag], it.consistency_token))
            }
            Self::WithdrawConsent(it) => {
                let answer = clients.customers.withdraw_consent(call(it, mark, limit)?);
                let it = answer.await?.into_inner();
                Ok(Done::new([it.etag], it.consistency_token))
            }
            Self::RecordPurchase(it) => {
                let answer = clients.interactions.record_purchase(call(it, mark, limit)?);
                let it = answer.await?.into_inner();
                Ok(Done::new([it.purchase_id], it.consistency_token))
            }
            Self::RecordTouchpoint(it) => {
                let answer = clients
                    .interactions
                    .record_touchpoint(call(it, mark, limit)?);
                let it = answer.await?.into_inner();
                Ok(Done::new([it.touchpoint_id], it.consistency_token))
            }
            Self::DefineSegment(it) => {
                let answer = clients.segmentation.define_segment(call(it, mark, limit)?);
                let it = answer.await?.into_inner();
                let segment_id = it.segment.map(|segment| segment.segment_id);
                // Its token stands for all that was evaluated by now, which is more in a repeat.
                Ok(Done::new(segment_id, String::new()))
            }
            Self::CreateCampaign(it) => {
                let answer = clients.campaigns.create_campaign(call(it, mark, limit)?);
                let it = answer.await?.into_inner();
                Ok(Done::new([it.campaign_id], it.consistency_token))
            }
            Self::StartCampaign(it) => {
                let answer = clients.campaigns.start_campaign(call(it, mark, limit)?);
                let it = answer.await?.into_inner();
                Ok(Done::new([], it.consistency_token))
            }
        }
    }
}

/// What a service has acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    /// Ids and versions.
    pub(crate) names: Vec<String>,
    pub(crate) token: String,
}

impl Done {
    fn new(names: impl IntoIterator<Item = String>, token: String) -> Self {
        Self {
            names: names.into_iter().collect(),
            token,
        }
    }

    /// The id of what was made.
    pub(crate) fn id(&self) -> anyhow::Result<&str> {
        let first = self.names.first().map(String::as_str);
        first.context("the answer names nothing")
    }
}

fn call<T>(message: T, mark: &str, limit: Duration) -> Result<Request<T>, Status> {
    let mut request = Request::new(message);
    let value = mark
        .parse()
        .map_err(|_| Status::invalid_argument("the mark does not fit into a header"))?;
    request.metadata_mut().insert(MARK_HEADER, value);
    request.set_timeout(limit);
    Ok(request)
}
