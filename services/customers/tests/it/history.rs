//! Who changed what of a customer, when, and on whose behalf.

use contracts::customers::v1 as pb;
use time::{OffsetDateTime, macros::datetime};

use crate::{
    requests::{
        addition, assign_team, ayse, change_stage, consent, email, list_changes, moment, register,
        registration, update, withdrawal,
    },
    stack::{Client, Stack},
};

const FIRST: OffsetDateTime = datetime!(2026-01-01 08:30 UTC);
const LATER: OffsetDateTime = datetime!(2026-02-01 08:30 UTC);

/// Registered, given an e-mail address, renamed, consents, withdraws, becomes active, gets a team.
async fn with_a_past(client: &mut Client) -> String {
    let request = pb::RegisterCustomerRequest {
        registered_time: moment(FIRST),
        ..registration()
    };
    let id = register(client, request).await;
    let address = addition(&id, email("Ayse@Example.com"));
    client.add_identifier(address).await.unwrap();
    let renamed = pb::Profile {
        given_name: "Ayşegül".to_owned(),
        ..pb::Profile::default()
    };
    let renamed = update(&id, renamed, &["given_name", "locale"]);
    client.update_profile(renamed).await.unwrap();
    client.record_consent(consent(&id, FIRST)).await.unwrap();
    client
        .withdraw_consent(withdrawal(&id, LATER))
        .await
        .unwrap();
    let active = pb::ChangeLifecycleStageRequest {
        effective_time: moment(LATER),
        ..change_stage(&id, pb::LifecycleStage::Active, "first-purchase")
    };
    client.change_lifecycle_stage(active).await.unwrap();
    client
        .assign_team(assign_team(&id, "key-accounts"))
        .await
        .unwrap();
    id
}

fn fields(change: &pb::Change) -> Vec<(&str, &str, &str)> {
    change
        .fields
        .iter()
        .map(|field| {
            (
                field.path.as_str(),
                field.before.as_str(),
                field.after.as_str(),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_tells_what_it_changed() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = with_a_past(&mut client).await;
    let answer = client.list_changes(list_changes(&id)).await.unwrap();
    let changes = answer.into_inner().changes;
    let types: Vec<&str> = changes
        .iter()
        .map(|change| change.event_type.rsplit('.').next().unwrap())
        .collect();
    assert_eq!(
        types,
        [
            "CustomerRegistered",
            "IdentifierAdded",
            "ProfileUpdated",
            "ConsentRecorded",
            "ConsentWithdrawn",
            "LifecycleStageChanged",
            "TeamAssigned"
        ]
    );
    let versions: Vec<i64> = changes.iter().map(|change| change.version).collect();
    assert_eq!(versions, [1, 2, 3, 4, 5, 6, 7]);
    let registered = fields(&changes[0]);
    assert!(registered.contains(&("profile.given_name", "", "Ayşe")));
    assert!(registered.contains(&("kind", "", "CUSTOMER_KIND_PERSON")));
    assert!(registered.contains(&("registered_time", "", "2026-01-01T08:30:00Z")));
    assert!(registered.contains(&("lifecycle.stage", "", "LIFECYCLE_STAGE_PROSPECT")));
    assert_eq!(
        fields(&changes[1]),
        [
            ("identifiers[0].type", "", "IDENTIFIER_TYPE_EMAIL"),
            ("identifiers[0].value", "", "ayse@example.com")
        ]
    );
    assert_eq!(
        fields(&changes[2]),
        [
            ("profile.given_name", "Ayşe", "Ayşegül"),
            ("profile.locale", "tr-TR", "")
        ]
    );
    assert!(fields(&changes[3]).contains(&("consents[EMAIL, MARKETING].granted", "", "true")));
    assert_eq!(
        fields(&changes[4]),
        [
            (
                "consents[EMAIL, MARKETING].effective_time",
                "2026-01-01T08:30:00Z",
                "2026-02-01T08:30:00Z"
            ),
            ("consents[EMAIL, MARKETING].granted", "true", "false"),
            ("consents[EMAIL, MARKETING].source", "web-form", "phone")
        ]
    );
    assert_eq!(
        fields(&changes[5]),
        [
            ("lifecycle.reason", "", "first-purchase"),
            (
                "lifecycle.since_time",
                "2026-01-01T08:30:00Z",
                "2026-02-01T08:30:00Z"
            ),
            (
                "lifecycle.stage",
                "LIFECYCLE_STAGE_PROSPECT",
                "LIFECYCLE_STAGE_ACTIVE"
            )
        ]
    );
    assert_eq!(changes[5].occurred_time, moment(LATER));
    assert_eq!(fields(&changes[6]), [("team", "", "key-accounts")]);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_tells_who_told_it_and_on_whose_behalf() {
    let stack = Stack::start().await;
    let id = register(&mut stack.client(), registration()).await;
    let mut assistant = stack.client_for("birgul", &["customers.*"]);
    let mut request = tonic::Request::new(update(&id, ayse(), &["given_name"]));
    request
        .metadata_mut()
        .insert("x-correlation-id", "call-17".parse().unwrap());
    // Nothing new: no event.
    assistant.update_profile(request).await.unwrap();
    let mut request = tonic::Request::new(assign_team(&id, "key-accounts"));
    request
        .metadata_mut()
        .insert("x-correlation-id", "call-18".parse().unwrap());
    assistant.assign_team(request).await.unwrap();
    let answer = assistant.list_changes(list_changes(&id)).await.unwrap();
    let changes = answer.into_inner().changes;
    let told: Vec<(&str, &str)> = changes
        .iter()
        .map(|change| (change.actor.as_str(), change.on_behalf_of.as_str()))
        .collect();
    assert_eq!(told, [("tester", ""), ("tester", "birgul")]);
    assert_eq!(changes[1].correlation_id, "call-18");
    assert_ne!(changes[0].correlation_id, "");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_on_where_the_last_one_ended() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = with_a_past(&mut client).await;
    let mut request = pb::ListChangesRequest {
        page_size: 3,
        ..list_changes(&id)
    };
    let mut pages = Vec::new();
    loop {
        let page = client.list_changes(request.clone()).await.unwrap();
        let page = page.into_inner();
        pages.push(page.changes);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let lengths: Vec<usize> = pages.iter().map(Vec::len).collect();
    assert_eq!(lengths, [3, 3, 1]);
    let whole = client.list_changes(list_changes(&id)).await.unwrap();
    assert_eq!(pages.concat(), whole.into_inner().changes);
    stack.stop().await;
}
