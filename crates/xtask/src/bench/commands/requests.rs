//! What the load sends.

use contracts::customers::v1::{
    Channel, CustomerKind, Identifier, IdentifierType, LegalBasis, Profile, Purpose,
    RecordConsentRequest, RegisterCustomerRequest,
};
use contracts::interactions::v1::{Purchase, PurchaseKind, PurchaseLine, RecordPurchaseRequest};
use prost_types::Timestamp;
use uuid::Uuid;

/// 2026-01-01.
const EPOCH_S: i64 = 1_767_225_600;

/// A name that no earlier run has used, so that nothing is a repeat.
pub(in crate::bench) fn fresh_run() -> String {
    Uuid::new_v4().simple().to_string()
}

fn at(n: u64) -> Option<Timestamp> {
    let seconds = EPOCH_S + i64::try_from(n % 10_000_000).unwrap_or_default();
    Some(Timestamp { seconds, nanos: 0 })
}

pub(in crate::bench) fn registration(run: &str, n: u64) -> RegisterCustomerRequest {
    RegisterCustomerRequest {
        request_id: format!("{run}-{n}"),
        kind: CustomerKind::Person.into(),
        profile: Some(Profile {
            given_name: "Bench".to_owned(),
            family_name: n.to_string(),
            ..Profile::default()
        }),
        identifiers: vec![Identifier {
            r#type: IdentifierType::External.into(),
            value: format!("{run}-{n}"),
            system: "bench".to_owned(),
        }],
        registered_time: at(0),
        ..RegisterCustomerRequest::default()
    }
}

pub(in crate::bench) fn consent(customer: &str, n: u64) -> RecordConsentRequest {
    RecordConsentRequest {
        request_id: format!("consent-{n}"),
        customer_id: customer.to_owned(),
        channel: Channel::Email.into(),
        purpose: Purpose::Marketing.into(),
        legal_basis: LegalBasis::Consent.into(),
        wording_version: "bench-1".to_owned(),
        source: "bench".to_owned(),
        given_time: at(n),
        evidence_reference: String::new(),
        validate_only: false,
        expire_time: None,
    }
}

pub(in crate::bench) fn purchase(run: &str, customers: &[String], n: u64) -> RecordPurchaseRequest {
    // Neighbours in time are different customers in different partitions.
    let customer = usize::try_from(n).unwrap_or_default() % customers.len();
    RecordPurchaseRequest {
        purchase: Some(Purchase {
            source: "bench".to_owned(),
            source_id: format!("{run}-{n}"),
            customer_id: customers[customer].clone(),
            kind: PurchaseKind::Purchase.into(),
            occurred_time: at(n),
            currency_code: "EUR".to_owned(),
            lines: vec![PurchaseLine {
                sku: "A-1".to_owned(),
                category: "shoes".to_owned(),
                quantity: 1,
                amount_minor: 4_990,
                margin_minor: None,
            }],
            channel: "web".to_owned(),
            backfill: false,
        }),
    }
}
