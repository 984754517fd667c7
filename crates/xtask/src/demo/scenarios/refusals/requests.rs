//! What is sent: good until somebody spoils it.

use contracts::campaigns::v1::{CreateCampaignRequest, GoalKind, Offer};
use contracts::customers::v1::{Channel, RecordConsentRequest, RegisterCustomerRequest};
use contracts::interactions::v1::{
    ImportOutcome, ImportPurchasesRequest, Purchase, RecordPurchaseRequest, RecordPurchaseResponse,
};
use contracts::segmentation::v1::DefineSegmentRequest;
use futures::stream;
use time::Date;
use time::macros::date;
use tonic::{Code, Response, Status};

use crate::demo::client::Clients;
use crate::demo::history::Row;
use crate::demo::import;

/// The customer's id in the history.
const ID: &str = "00004";
const DAY: Date = date!(1997 - 01 - 01);

pub(in crate::demo::scenarios) fn registration() -> RegisterCustomerRequest {
    import::registration(ID, DAY)
}

pub(in crate::demo::scenarios) fn consent(customer_id: &str) -> RecordConsentRequest {
    import::consent(ID, customer_id.to_owned(), DAY)
}

pub(in crate::demo::scenarios) async fn record(
    clients: &Clients,
    purchase: Purchase,
) -> Result<Response<RecordPurchaseResponse>, Status> {
    let request = RecordPurchaseRequest {
        purchase: Some(purchase),
    };
    clients.interactions.clone().record_purchase(request).await
}

/// The answer to a row of an import that is refused.
pub(in crate::demo::scenarios) async fn import_row(
    clients: &Clients,
    purchase: Purchase,
) -> anyhow::Result<(Code, String)> {
    let row = ImportPurchasesRequest {
        row: 1,
        purchase: Some(purchase),
    };
    let mut interactions = clients.interactions.clone();
    let answers = interactions.import_purchases(stream::iter([row])).await?;
    let answer = answers.into_inner().message().await?.unwrap_or_default();
    assert_eq!(answer.outcome(), ImportOutcome::Refused);
    Ok((answer.code.into(), answer.message))
}

pub(in crate::demo::scenarios) fn purchase(line: u32, customer_id: &str) -> Purchase {
    let row = Row {
        line,
        customer: ID.to_owned(),
        day: DAY,
        quantity: 1,
        amount_minor: 2_933,
    };
    import::purchase(&row, customer_id.to_owned())
}

pub(in crate::demo::scenarios) fn segment(name: &str, rule: &str) -> DefineSegmentRequest {
    DefineSegmentRequest {
        request_id: String::new(),
        name: name.to_owned(),
        rule: rule.to_owned(),
    }
}

pub(in crate::demo::scenarios) fn campaign(segment_id: &str) -> CreateCampaignRequest {
    CreateCampaignRequest {
        name: "Theirs".to_owned(),
        goal: GoalKind::Loyalty.into(),
        segment_id: segment_id.to_owned(),
        offer: Some(Offer {
            name: "Nothing".to_owned(),
            ..Offer::default()
        }),
        channel: Channel::Email.into(),
        ..CreateCampaignRequest::default()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a caller from outside has the machine's clock and no other"
)]
pub(in crate::demo::scenarios) fn now() -> time::OffsetDateTime {
    time::OffsetDateTime::now_utc()
}
