//! Requests as other systems send them.

use aggregate::CustomerId;
use contracts::interactions::v1 as pb;
use event_log::timestamp;
use time::{OffsetDateTime, macros::datetime};
use tonic::{Response, Status};

use crate::stack::Client;

/// When the first purchase of a test happens.
pub(crate) const FIRST: OffsetDateTime = datetime!(1997-01-01 10:00:00.25 UTC);

pub(crate) fn moment(at: OffsetDateTime) -> Option<prost_types::Timestamp> {
    Some(timestamp::to_proto(at))
}

pub(crate) fn line(quantity: i64, amount_minor: i64) -> pb::PurchaseLine {
    pb::PurchaseLine {
        sku: "A-1".to_owned(),
        category: "kitap".to_owned(),
        quantity,
        amount_minor,
        margin_minor: None,
    }
}

/// A purchase of two lines, 2400 in all.
pub(crate) fn purchase(customer: CustomerId, source_id: &str) -> pb::Purchase {
    pb::Purchase {
        source: "pos".to_owned(),
        source_id: source_id.to_owned(),
        customer_id: customer.to_string(),
        kind: pb::PurchaseKind::Purchase.into(),
        occurred_time: moment(FIRST),
        currency_code: "TRY".to_owned(),
        lines: vec![line(1, 1999), line(3, 401)],
        channel: "web".to_owned(),
        backfill: true,
    }
}

pub(crate) fn touchpoint(customer: CustomerId, source_id: &str) -> pb::Touchpoint {
    pb::Touchpoint {
        source: "desk".to_owned(),
        source_id: source_id.to_owned(),
        customer_id: customer.to_string(),
        channel: pb::TouchpointChannel::Call.into(),
        direction: pb::Direction::Inbound.into(),
        public: false,
        automated: false,
        role: "cashier".to_owned(),
        summary: SUMMARY.to_owned(),
        occurred_time: moment(FIRST + time::Duration::hours(1)),
        backfill: false,
    }
}

/// What nobody may find in the database in clear.
pub(crate) const SUMMARY: &str = "Ayşe Yılmaz asked where her parcel is";

pub(crate) async fn record(
    client: &mut Client,
    purchase: pb::Purchase,
) -> Result<Response<pb::RecordPurchaseResponse>, Status> {
    let purchase = Some(purchase);
    client
        .record_purchase(pb::RecordPurchaseRequest { purchase })
        .await
}

pub(crate) async fn touch(
    client: &mut Client,
    touchpoint: pb::Touchpoint,
) -> Result<Response<pb::RecordTouchpointResponse>, Status> {
    let touchpoint = Some(touchpoint);
    client
        .record_touchpoint(pb::RecordTouchpointRequest { touchpoint })
        .await
}
