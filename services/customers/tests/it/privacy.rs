//! What identifies a person stands in no log, no idempotency record and no message in clear.

use async_nats::jetstream::{self, consumer};
use contracts::customers::v1 as pb;
use futures::StreamExt as _;
use service::clock;
use testing::{eventually, stack::SOON};
use time::Duration;

use crate::{
    requests::{
        addition, ayse, consent, email, external, get, phone, register, registration, update,
    },
    stack::Stack,
};

/// Parts of what the requests of this test give away, in any case.
const SECRETS: [&str; 8] = [
    "Ayşe",
    "Yılmaz",
    "Fatma",
    "Bozacı",
    "ayse",
    "905321234567",
    "5321234567",
    "A-17-secret",
];

fn assert_hides(what: &str, bytes: &[u8]) {
    for secret in SECRETS {
        let shows = bytes
            .windows(secret.len())
            .any(|window| window.eq_ignore_ascii_case(secret.as_bytes()));
        assert!(!shows, "{secret} stands in clear in {what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_personal_leaves_in_clear() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let request_id = |id: &str| id.to_owned();
    let id = register(
        &mut client,
        pb::RegisterCustomerRequest {
            request_id: request_id("1"),
            identifiers: vec![email("ayse@example.com"), external("crm", "A-17-secret")],
            ..registration()
        },
    )
    .await;
    let profile = pb::Profile {
        given_name: "Fatma".to_owned(),
        legal_name: "Bozacı A.Ş.".to_owned(),
        ..ayse()
    };
    let update = pb::UpdateProfileRequest {
        request_id: request_id("2"),
        ..update(&id, profile, &["given_name", "legal_name"])
    };
    client.update_profile(update).await.unwrap();
    let add = pb::AddIdentifierRequest {
        request_id: request_id("3"),
        ..addition(&id, phone("0532 123 45 67"))
    };
    client.add_identifier(add).await.unwrap();

    let events: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as("select payload, metadata from event")
        .fetch_all(&stack.pool)
        .await
        .unwrap();
    assert_eq!(events.len(), 8);
    for (payload, metadata) in &events {
        assert_hides("an event", payload);
        assert_hides("the metadata of an event", metadata);
    }
    let commands: Vec<(String, Vec<u8>, Vec<u8>)> =
        sqlx::query_as("select request_id, fingerprint, response from command_log")
            .fetch_all(&stack.pool)
            .await
            .unwrap();
    assert_eq!(commands.len(), 3);
    for (request_id, fingerprint, response) in &commands {
        assert_hides(
            "an idempotency record",
            &[request_id.as_bytes(), fingerprint, response].concat(),
        );
    }
    for (subject, bytes) in published(&stack, events.len()).await {
        assert_hides("a subject", subject.as_bytes());
        assert_hides("a message", &bytes);
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_history_is_kept_sealed_and_read_the_same() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(
        &mut client,
        pb::RegisterCustomerRequest {
            identifiers: vec![email("ayse@example.com"), external("crm", "A-17-secret")],
            ..registration()
        },
    )
    .await;
    for days in 1..=100 {
        let given = clock::now() - Duration::days(days);
        client.record_consent(consent(&id, given)).await.unwrap();
    }
    let folded = get(&mut client, &id).await;
    let kept: Vec<u8> = eventually(SOON, "the snapshot", || async {
        sqlx::query_scalar("select state from snapshot")
            .fetch_optional(&stack.pool)
            .await
            .unwrap()
    })
    .await;
    assert_hides("a snapshot", &kept);
    assert_eq!(get(&mut client, &id).await, folded);
    stack.stop().await;
}

/// Subject, and headers and payload together, of so many messages.
async fn published(stack: &Stack, count: usize) -> Vec<(String, Vec<u8>)> {
    let nats = &stack.config.nats;
    let context = jetstream::new(async_nats::connect(nats.url.expose()).await.unwrap());
    let name = format!("{}_CUSTOMERS", nats.stream_prefix);
    let stream = eventually(SOON, "the stream to be there", || async {
        context.get_stream(&name).await.ok()
    })
    .await;
    let config = consumer::pull::OrderedConfig::default();
    let messages = stream
        .create_consumer(config)
        .await
        .unwrap()
        .messages()
        .await
        .unwrap();
    let messages = messages.take(count).map(|message| {
        let message = message.unwrap();
        let headers = format!("{:?}", message.headers);
        (
            message.subject.to_string(),
            [headers.as_bytes(), &message.payload].concat(),
        )
    });
    tokio::time::timeout(SOON, messages.collect())
        .await
        .expect("the events are published")
}
