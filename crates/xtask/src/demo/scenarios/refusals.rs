//! Bad input over the real processes: a precise answer, and no event anywhere.

pub(super) mod requests;

use contracts::campaigns::v1::ListCampaignsRequest;
use contracts::customers::v1::GetCustomerRequest;
use contracts::interactions::v1::Purchase;
use contracts::segmentation::v1::{GetCustomerValueRequest, ListSegmentsRequest};
use time::Duration;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

use super::World;
use crate::demo::client::Clients;
use crate::demo::evaluate::timestamp;
use crate::demo::service::{PerService, Service};
use crate::demo::settle::settle;
use requests::{campaign, consent, import_row, now, purchase, record, registration, segment};

/// Well formed, and nobody's.
const NOBODY: &str = "018f2a3c-0000-7000-8000-000000000000";
const OTHER_TENANT: &str = "other";

/// Makes a good purchase bad.
type Spoil = fn(&mut Purchase);

/// What a program can read from an answer: code, reason, and the fields or things that are at fault.
type Told = (Code, String, Vec<String>);

/// A world with one customer, one purchase and one segment, in which nothing moves any more.
struct Scene {
    world: World,
    customer_id: String,
    segment_id: String,
    /// Events of each log.
    events: PerService<u64>,
}

impl Scene {
    async fn start() -> anyhow::Result<Self> {
        let world = World::start("refusals").await?;
        let mut clients = world.clients.clone();
        let registered = clients.customers.register_customer(registration()).await?;
        let customer_id = registered.into_inner().customer_id;
        record(&clients, purchase(1, &customer_id)).await?;
        let defined = clients.segmentation.define_segment(segment("all", "true"));
        let segment = defined.await?.into_inner().segment.unwrap_or_default();
        let events = settle(&clients).await?;
        Ok(Self {
            world,
            customer_id,
            segment_id: segment.segment_id,
            events,
        })
    }

    fn clients(&self) -> Clients {
        self.world.clients.clone()
    }

    /// It was refused like this, and no log has a new event.
    async fn refused<T>(
        &self,
        answer: Result<Response<T>, Status>,
        code: Code,
        reason: &str,
        at_fault: &[&str],
    ) -> anyhow::Result<()> {
        let expected = at_fault.iter().map(ToString::to_string).collect();
        let told = answer.err().map(|status| told(&status));
        assert_eq!(told, Some((code, reason.to_owned(), expected)));
        assert_eq!(events(&self.world.clients).await?, self.events, "{reason}");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_is_refused_precisely_and_leaves_no_event() -> anyhow::Result<()> {
    let mut scene = Scene::start().await?;
    bad_purchases(&scene).await?;
    a_rule_with_a_type_error(&scene).await?;
    strangers(&scene).await?;
    another_tenant(&scene).await?;
    assert_eq!(settle(&scene.world.clients).await?, scene.events);

    // Something good moves a log, so that something bad would have been noticed.
    record(&scene.clients(), purchase(2, &scene.customer_id)).await?;
    scene.events.interactions += 1;
    assert_eq!(events(&scene.world.clients).await?, scene.events);
    scene.world.stack.all_run()
}

async fn bad_purchases(scene: &Scene) -> anyhow::Result<()> {
    let cases: [(&str, Spoil); 3] = [
        ("purchase.currency_code", |it| {
            it.currency_code = "ZZZ".to_owned()
        }),
        ("purchase.lines[0].quantity", |it| it.lines[0].quantity = -1),
        ("purchase.occurred_time", |it| {
            it.occurred_time = Some(timestamp(now() + Duration::days(1)));
        }),
    ];
    for (field, spoil) in cases {
        let mut spoilt = purchase(2, &scene.customer_id);
        spoil(&mut spoilt);
        let answer = record(&scene.clients(), spoilt.clone()).await;
        scene
            .refused(answer, Code::InvalidArgument, "FIELD_VIOLATIONS", &[field])
            .await?;
        let (code, message) = import_row(&scene.clients(), spoilt).await?;
        assert_eq!(code, Code::InvalidArgument);
        assert!(message.starts_with(&format!("{field}: ")), "{message}");
        assert_eq!(events(&scene.world.clients).await?, scene.events, "{field}");
    }
    let answer = record(&scene.clients(), purchase(2, NOBODY)).await;
    let subject = format!("customer/{NOBODY}");
    let at_fault = [subject.as_str()];
    scene
        .refused(
            answer,
            Code::FailedPrecondition,
            "UNKNOWN_CUSTOMER",
            &at_fault,
        )
        .await
}

async fn a_rule_with_a_type_error(scene: &Scene) -> anyhow::Result<()> {
    let rule = segment("typed", "measures.purchases > \"3\"");
    let answer = scene.clients().segmentation.define_segment(rule).await;
    let place = answer.as_ref().err().and_then(|status| {
        let details = status.get_details_error_info()?;
        Some((
            details.metadata.get("line")?.clone(),
            details.metadata.get("column")?.clone(),
        ))
    });
    assert_eq!(place, Some(("1".to_owned(), "1".to_owned())));
    scene
        .refused(answer, Code::InvalidArgument, "RULE_INVALID", &["rule"])
        .await
}

/// Without a token, and with one that another secret signed, at every door.
async fn strangers(scene: &Scene) -> anyhow::Result<()> {
    let stack = &scene.world.stack;
    let forged = stack.forged_token("demo")?;
    for (token, reason) in [
        (None, "TOKEN_MISSING"),
        (Some(forged.as_str()), "TOKEN_SIGNATURE_INVALID"),
    ] {
        let mut clients = Clients::with_token(stack, token)?;
        let answer = clients.customers.register_customer(registration()).await;
        let unknown = Code::Unauthenticated;
        scene.refused(answer, unknown, reason, &[]).await?;
        let answer = record(&clients, purchase(2, &scene.customer_id)).await;
        scene.refused(answer, unknown, reason, &[]).await?;
        let answer = clients
            .segmentation
            .define_segment(segment("theirs", "true"));
        scene.refused(answer.await, unknown, reason, &[]).await?;
        let answer = clients
            .campaigns
            .create_campaign(campaign(&scene.segment_id));
        scene.refused(answer.await, unknown, reason, &[]).await?;
    }
    Ok(())
}

/// What is the demo's does not exist for another tenant.
async fn another_tenant(scene: &Scene) -> anyhow::Result<()> {
    let stack = &scene.world.stack;
    let token = stack.token_of(OTHER_TENANT)?;
    let mut other = Clients::with_token(stack, Some(&token))?;
    let customer_id = &scene.customer_id;
    let subject = format!("customer/{customer_id}");
    let answer = record(&other, purchase(2, customer_id)).await;
    let at_fault = [subject.as_str()];
    scene
        .refused(
            answer,
            Code::FailedPrecondition,
            "UNKNOWN_CUSTOMER",
            &at_fault,
        )
        .await?;
    let answer = other.customers.record_consent(consent(customer_id)).await;
    let at_fault = [customer_id.as_str()];
    scene
        .refused(answer, Code::NotFound, "NOT_FOUND", &at_fault)
        .await?;
    let request = GetCustomerRequest {
        customer_id: customer_id.clone(),
        as_of: None,
    };
    let answer = other.customers.get_customer(request).await;
    scene
        .refused(answer, Code::NotFound, "NOT_FOUND", &at_fault)
        .await?;
    let request = GetCustomerValueRequest {
        customer_id: customer_id.clone(),
        ..GetCustomerValueRequest::default()
    };
    let answer = other.segmentation.get_customer_value(request).await;
    scene
        .refused(answer, Code::NotFound, "NOT_FOUND", &at_fault)
        .await?;
    let answer = other.campaigns.create_campaign(campaign(&scene.segment_id));
    let subject = format!("segment/{}", scene.segment_id);
    let at_fault = [subject.as_str()];
    scene
        .refused(
            answer.await,
            Code::FailedPrecondition,
            "UNKNOWN_SEGMENT",
            &at_fault,
        )
        .await?;

    // The token itself is good.
    let listed = other
        .segmentation
        .list_segments(ListSegmentsRequest::default());
    assert_eq!(listed.await?.into_inner().segments, []);
    let listed = other
        .campaigns
        .list_campaigns(ListCampaignsRequest::default());
    assert_eq!(listed.await?.into_inner().campaigns, []);
    Ok(())
}

fn told(status: &Status) -> Told {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| {
        assert_eq!(info.domain, "vefa", "{status:?}");
        info.reason.clone()
    });
    let mut at_fault = Vec::new();
    for violation in details
        .bad_request()
        .iter()
        .flat_map(|it| &it.field_violations)
    {
        at_fault.push(violation.field.clone());
    }
    for violation in details
        .precondition_failure()
        .iter()
        .flat_map(|it| &it.violations)
    {
        at_fault.push(violation.subject.clone());
    }
    at_fault.extend(details.resource_info().map(|it| it.resource_name.clone()));
    assert!(!status.message().is_empty(), "{status:?}");
    (status.code(), reason.unwrap_or_default(), at_fault)
}

async fn events(clients: &Clients) -> anyhow::Result<PerService<u64>> {
    let mut events = Vec::new();
    for service in Service::ALL {
        events.push(clients.heads(service).await?.events);
    }
    let [customers, interactions, segmentation, campaigns] = events[..] else {
        unreachable!("there are four services");
    };
    Ok(PerService {
        customers,
        interactions,
        segmentation,
        campaigns,
    })
}
