//! The gate at work: every yes and every no is an event with what the gate saw.

use std::collections::BTreeMap;

use aggregate::CustomerId;
use campaigns::domain::{CampaignId, draw};
use contracts::{campaigns::v1 as pb, common::v1::EventMetadata, customers::v1 as customers};
use prost::Message as _;
use testing::stack::tenant;
use time::{Duration, OffsetDateTime, macros::datetime};
use uuid::Uuid;

use crate::{
    peers::{
        consents, consents_to, consents_until, is_erased, is_restricted, registers,
        restriction_lifted, withdraws,
    },
    requests::{campaign, decisions, refused_for, run, strangers},
    stack::Stack,
};

const SPRING: OffsetDateTime = datetime!(2026-03-01 0:00 UTC);

/// What the log of the service holds of a customer's decisions: type, event id, payload and metadata.
async fn recorded(stack: &Stack, customer: CustomerId) -> Vec<(String, Uuid, Vec<u8>, Vec<u8>)> {
    sqlx::query_as(
        "select type, event_id, payload, metadata from event where stream_id = $1 order by version",
    )
    .bind(customer.0)
    .fetch_all(&stack.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn every_member_is_decided_on_by_what_the_gate_sees() {
    use pb::{RefusalReason as No, Verdict};
    let stack = Stack::start().await;
    let mut client = stack.client();
    let log = &stack.customers;
    let people = strangers(80);
    let mut expected = BTreeMap::new();
    for (n, customer) in people.iter().enumerate() {
        registers(log, *customer, SPRING).await;
        let (no, consent_event) = match n % 8 {
            0 => (Some(No::NoConsent), None),
            1 => {
                let (phone, marketing) = (customers::Channel::Phone, customers::Purpose::Marketing);
                consents_to(log, &tenant(), *customer, phone, marketing, SPRING).await;
                (Some(No::NoConsent), None)
            }
            2 => {
                let (email, research) = (customers::Channel::Email, customers::Purpose::Research);
                consents_to(log, &tenant(), *customer, email, research, SPRING).await;
                (Some(No::NoConsent), None)
            }
            3 => {
                consents(log, *customer, SPRING).await;
                let withdrawn = withdraws(log, *customer, SPRING + Duration::DAY).await;
                (Some(No::ConsentWithdrawn), Some(withdrawn.event_id))
            }
            4 => {
                // At the same moment, the later word counts.
                withdraws(log, *customer, SPRING).await;
                (None, Some(consents(log, *customer, SPRING).await.event_id))
            }
            5 => {
                // Of somebody who was erased no consent is known any more.
                consents(log, *customer, SPRING).await;
                is_erased(log, *customer, SPRING + Duration::DAY).await;
                (Some(No::NoConsent), None)
            }
            6 => {
                // Restricted, and restricted no more before the campaign starts: of every second one.
                let consent = consents(log, *customer, SPRING).await.event_id;
                is_restricted(log, *customer, SPRING).await;
                if n % 16 == 6 {
                    restriction_lifted(log, *customer, SPRING + Duration::DAY).await;
                    (None, Some(consent))
                } else {
                    (Some(No::ProcessingRestricted), Some(consent))
                }
            }
            _ if n % 16 == 7 => {
                // What has expired by now is no consent, and was one until then.
                let expired = consents_until(log, *customer, SPRING, SPRING + Duration::DAY).await;
                (Some(No::ConsentWithdrawn), Some(expired.event_id))
            }
            _ => {
                let later = service::clock::now() + Duration::days(365);
                let lasting = consents_until(log, *customer, SPRING, later).await;
                (None, Some(lasting.event_id))
            }
        };
        expected.insert(*customer, (no, consent_event));
    }
    // Nothing here waits for the consents: the campaign has to.
    let segment = stack.segmentation.define(&tenant(), &people);
    stack.segmentation.limit_pages(&tenant(), segment, 30);
    let mut request = campaign(segment);
    request.holdout_share = 0.4;
    let campaign = run(&mut client, request.clone()).await;

    let id = CampaignId(campaign.campaign_id.parse().unwrap());
    let listed = decisions(&mut client, &campaign.campaign_id, 7).await;
    assert_eq!(listed.len(), 80);
    let mut verdicts = BTreeMap::new();
    for (decision, (customer, (no, consent_event))) in listed.iter().zip(&expected) {
        assert_eq!(
            decision.customer_id,
            customer.to_string(),
            "in order of customer id"
        );
        let drawn = draw(42, id, *customer);
        let (verdict, type_) = match no {
            Some(_) => (Verdict::Refused, "vefa.campaigns.v1.ContactRefused"),
            None if drawn < 0.4 => (Verdict::Holdout, "vefa.campaigns.v1.ContactHeldOut"),
            None => (Verdict::Contact, "vefa.campaigns.v1.ContactRequested"),
        };
        *verdicts
            .entry((verdict, no.unwrap_or_default()))
            .or_insert(0) += 1;
        let consent_event_id = consent_event.map_or_else(String::new, |id| id.to_string());
        assert_eq!(decision.verdict(), verdict);
        assert_eq!(decision.refusal_reason(), no.unwrap_or_default());
        assert_eq!(decision.consent_event_id, consent_event_id);

        let events = recorded(&stack, *customer).await;
        let [(recorded_type, event_id, payload, metadata)] = events.as_slice() else {
            panic!("{} decisions instead of one", events.len());
        };
        assert_eq!(
            (recorded_type.as_str(), event_id.to_string()),
            (type_, decision.event_id.clone())
        );
        let evidence = match verdict {
            Verdict::Contact => {
                let event = pb::ContactRequested::decode(payload.as_slice()).unwrap();
                assert_eq!(event.offer_name, "Yüzde on");
                assert_eq!(event.channel(), customers::Channel::Email);
                assert!(!event.retrospective);
                event.evidence
            }
            Verdict::Holdout => {
                pb::ContactHeldOut::decode(payload.as_slice())
                    .unwrap()
                    .evidence
            }
            Verdict::Refused | Verdict::Unspecified => {
                let event = pb::ContactRefused::decode(payload.as_slice()).unwrap();
                assert_eq!(event.reason(), no.unwrap());
                event.evidence
            }
        };
        let seen = pb::GateEvidence {
            consent_event_id,
            segment_id: segment.to_string(),
            segment_rule_version: 3,
            seed: 42,
            holdout_share: 0.4,
            draw: drawn,
            last_contact_time: None,
            effective_time: campaign.effective_time,
            policy_version: 3,
        };
        assert_eq!(evidence, Some(seen));
        let metadata = EventMetadata::decode(metadata.as_slice()).unwrap();
        assert_eq!(metadata.actor, "service:campaigns");
        assert!(!metadata.correlation_id.is_empty() && !metadata.causation_id.is_empty());
    }
    let count = |verdict, no| verdicts.get(&(verdict, no)).copied().unwrap_or(0);
    assert_eq!(campaign.decided, 80);
    assert_eq!(campaign.contacted, count(Verdict::Contact, No::Unspecified));
    assert_eq!(campaign.held_out, count(Verdict::Holdout, No::Unspecified));
    assert_eq!(campaign.contacted + campaign.held_out, 20);
    assert!(
        campaign.contacted > 0 && campaign.held_out > 0,
        "{campaign:?}"
    );
    assert_eq!(refused_for(&campaign, No::NoConsent), 40);
    assert_eq!(refused_for(&campaign, No::ProcessingRestricted), 5);
    assert_eq!(refused_for(&campaign, No::ConsentWithdrawn), 15);
    assert_eq!(campaign.refused.len(), 3);
    assert_eq!(stack.segmentation.asked(), [None, None, None]);
    stack.stop().await;
}

#[tokio::test]
async fn a_second_campaign_leaves_the_contacted_alone_and_no_others() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let people = strangers(40);
    for customer in &people {
        consents(&stack.customers, *customer, SPRING).await;
    }
    let segment = stack.segmentation.define(&tenant(), &people);
    let mut request = campaign(segment);
    request.holdout_share = 0.5;
    let first = run(&mut client, request.clone()).await;
    let before = decisions(&mut client, &first.campaign_id, 100).await;

    request.holdout_share = 0.0;
    let second = run(&mut client, request).await;
    let after = decisions(&mut client, &second.campaign_id, 100).await;
    assert_eq!(second.decided, 40);
    assert_eq!(second.contacted, first.held_out);
    assert_eq!(
        refused_for(&second, pb::RefusalReason::AlreadyContacted),
        first.contacted
    );
    for (before, after) in before.iter().zip(&after) {
        let contacted = before.verdict() == pb::Verdict::Contact;
        assert_eq!(
            after.verdict() == pb::Verdict::Refused,
            contacted,
            "{before:?} {after:?}"
        );
        if contacted {
            let events = recorded(&stack, before.customer_id.parse().unwrap()).await;
            let refused = pb::ContactRefused::decode(events[1].2.as_slice()).unwrap();
            assert_eq!(
                refused.evidence.unwrap().last_contact_time,
                before.decided_time
            );
        }
    }
    stack.stop().await;
}

#[tokio::test]
async fn the_same_customers_draw_anew_in_each_campaign() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let people = strangers(60);
    for customer in &people {
        consents(&stack.customers, *customer, SPRING).await;
    }
    let mut request = campaign(stack.segmentation.define(&tenant(), &people));
    request.holdout_share = 0.5;
    let mut arms = Vec::new();
    for _ in 0..2 {
        let id = crate::requests::create(&mut client, request.clone()).await;
        client
            .start_campaign(crate::requests::start_as_of(&id, SPRING))
            .await
            .unwrap();
        crate::requests::running(&mut client, &id).await;
        let decisions = decisions(&mut client, &id, 100).await;
        arms.push(
            decisions
                .iter()
                .map(pb::Decision::verdict)
                .collect::<Vec<_>>(),
        );
    }
    // Each would be the same by chance once in 2^60 times.
    assert_ne!(arms[0], arms[1]);
    stack.stop().await;
}
