//! What is sent, to whom, and how it is signed.

use std::{collections::BTreeMap, sync::Arc};

use service::clock;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivatePkcs8KeyDer},
};
use uuid::Uuid;

use crate::{
    ground::{Endpoint, Ground, OTHER_SECRET, SECRET, Sender, customer},
    receiver::{Receiver, Reply},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_an_event_in_its_public_form_signed_as_standard_webhooks_says() {
    let (ground, receiver) = (Ground::start().await, Receiver::start().await);
    ground.purchase("acme", customer(1), "p1").await;
    let sender = ground.send(Endpoint::new(receiver.url())).await;
    let told = receiver.has(1).await.swap_remove(0);
    sender.is_done().await;
    assert_eq!(told.path, "/hooks");
    assert_eq!(
        told.header("content-type"),
        "application/cloudevents+json; charset=utf-8"
    );
    assert!(told.header("user-agent").starts_with("vefa-webhooks/"));
    let timestamp: i64 = told.header("webhook-timestamp").parse().unwrap();
    assert!((clock::now().unix_timestamp() - timestamp).abs() < 60);
    assert!(told.is_signed_by(SECRET));
    assert!(!told.is_signed_by(OTHER_SECRET));
    // The same as a line of `vefa events tail`.
    let event = &told.event;
    assert_eq!(told.id(), event["id"].as_str().unwrap());
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["type"], "vefa.interactions.v1.PurchaseRecorded");
    assert_eq!(event["source"], "/vefa/interactions");
    assert_eq!(event["tenant"], "acme");
    assert_eq!(
        (&event["epoch"], &event["position"]),
        (&1.into(), &1.into())
    );
    assert_eq!(event["data"]["customerId"], customer(1).to_string());
    sender.stop().await;
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_of_another_tenant_are_never_sent() {
    let (ground, receiver) = (Ground::start().await, Receiver::start().await);
    for n in 0..20 {
        ground.purchase("globex", customer(n), "theirs").await;
        ground.purchase("acme", customer(n), "ours").await;
    }
    let sender = ground.send(Endpoint::new(receiver.url())).await;
    receiver.has(20).await;
    sender.is_done().await;
    assert_eq!(receiver.what(), ["ours"; 20]);
    sender.stop().await;
    // Nor under a name whose events are another's.
    let mut config = ground.config(&[Endpoint::new(receiver.url())]);
    config.webhooks.endpoints[0].tenant = "globex".to_owned();
    let refused = Sender::start(config).await.ended().await.unwrap_err();
    assert!(
        refused.to_string().contains("the events of acme"),
        "{refused}"
    );
    assert_eq!(receiver.what(), ["ours"; 20]);
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_endpoint_gets_the_types_and_the_time_that_it_asks_for() {
    let (ground, receiver) = (Ground::start().await, Receiver::start().await);
    ground.purchase("acme", customer(1), "before").await;
    let endpoint = || Endpoint {
        more: "from = \"now\"\ntypes = [\"PurchaseRecorded\"]".to_owned(),
        ..Endpoint::new(receiver.url())
    };
    let sender = ground.send(endpoint()).await;
    // From now on is from when it was first seen.
    sender.standing().await;
    ground.touchpoint("acme", customer(1), "another type").await;
    ground.purchase("acme", customer(1), "after").await;
    receiver.has(1).await;
    sender.stop().await;
    ground.purchase("acme", customer(1), "meanwhile").await;
    let sender = ground.send(endpoint()).await;
    receiver.has(2).await;
    sender.is_done().await;
    assert_eq!(receiver.what(), ["after", "meanwhile"]);
    sender.stop().await;
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_go_on_after_a_restart_where_they_were() {
    let (ground, receiver) = (Ground::start().await, Receiver::start().await);
    let mut expected: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
    for round in 0..3 {
        let sender = ground.send(Endpoint::new(receiver.url())).await;
        for n in 0..30 {
            let (who, name) = (customer(n % 7), format!("{round}-{n}"));
            ground.purchase("acme", who, &name).await;
            expected.entry(who.0).or_default().push(name);
        }
        // The first two end somewhere in the middle.
        receiver.has(30 * round + 5).await;
        if round == 2 {
            receiver.has(90).await;
            sender.is_done().await;
        }
        sender.stop().await;
    }
    let mut came: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
    for told in receiver.told() {
        let line = came.entry(told.customer().parse().unwrap()).or_default();
        line.push(told.what().to_owned());
    }
    // Ends that are asked for wait for what is under way: each once, each customer's in order.
    assert_eq!(came, expected);
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_webhook_secrets_sign_while_one_takes_the_place_of_the_other() {
    let (ground, receiver) = (Ground::start().await, Receiver::start().await);
    for (n, secrets) in [vec![SECRET], vec![OTHER_SECRET, SECRET], vec![OTHER_SECRET]]
        .into_iter()
        .enumerate()
    {
        let by = [SECRET, OTHER_SECRET].map(|secret| secrets.contains(&secret));
        let endpoint = Endpoint {
            secrets,
            ..Endpoint::new(receiver.url())
        };
        ground.purchase("acme", customer(1), "p").await;
        let sender = ground.send(endpoint).await;
        let told = receiver.has(n + 1).await.swap_remove(n);
        sender.is_done().await;
        let signed = [SECRET, OTHER_SECRET].map(|secret| told.is_signed_by(secret));
        assert_eq!(signed, by, "{n}");
        sender.stop().await;
    }
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_webhook_endpoint_holds_up_no_other() {
    let ground = Ground::start().await;
    let (stuck, good) = (Receiver::start().await, Receiver::start().await);
    stuck.rule(|_| Reply::Hold);
    let endpoints = [
        Endpoint {
            name: "stuck",
            ..Endpoint::new(stuck.url())
        },
        Endpoint {
            name: "good",
            ..Endpoint::new(good.url())
        },
    ];
    let sender = Sender::start(ground.config(&endpoints)).await;
    for n in 0..40 {
        ground.purchase("acme", customer(n), "p").await;
    }
    good.has(40).await;
    // Eight are under way, and no more.
    assert!(stuck.told().len() <= 8);
    stuck.let_go();
    stuck.has(40).await;
    sender.is_done().await;
    sender.stop().await;
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_by_tls_goes_to_nobody_whom_the_endpoint_does_not_trust() {
    let ground = Ground::start().await;
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let ca_file = ground.file("ca.pem", &made.cert.pem());
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let receiver = Receiver::start_with(move |stream| {
        let acceptor = acceptor.clone();
        // Who does not trust us goes away.
        async move { acceptor.accept(stream).await.ok() }
    })
    .await;
    ground.purchase("acme", customer(1), "p").await;
    let endpoint = |ca: &str| Endpoint {
        more: format!("from = \"start\"\nservices = [\"interactions\"]\nca_file = {ca:?}"),
        ..Endpoint::new(format!("https://{}/hooks", receiver.address))
    };
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let other = ground.file("other.pem", &other.cert.pem());
    let sender = ground.send(endpoint(other.to_str().unwrap())).await;
    let dead = testing::eventually(crate::ground::SOON, "a dead event", || async {
        let dead = webhooks::operate::dead(sender.log.pool(), None, 1).await;
        dead.unwrap().pop()
    })
    .await;
    assert!(
        dead.outcome.starts_with("no connection"),
        "{}",
        dead.outcome
    );
    assert!(dead.outcome.contains("certificate"), "{}", dead.outcome);
    assert!(receiver.told().is_empty());
    sender.stop().await;
    let sender = ground.send(endpoint(ca_file.to_str().unwrap())).await;
    let redriven = webhooks::operate::redrive(sender.log.pool(), "crm", None).await;
    assert_eq!(redriven.unwrap(), 1);
    let told = receiver.has(1).await;
    assert!(told[0].is_signed_by(SECRET));
    sender.stop().await;
    ground.stop().await;
}

#[test]
fn refuses_a_webhook_endpoint_that_is_not_https_or_shows_a_password() {
    let refusal = |endpoint: &str| {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("vefa.toml");
        let text = format!(
            "[[webhooks.endpoints]]\nname = \"crm\"\ntenant = \"acme\"\nfrom = \"now\"\nsecret_files = [\"s\"]\n{endpoint}\n"
        );
        std::fs::write(&file, text).unwrap();
        let config = service::Config::from_layers(Some(&file), []);
        config.err().map(|error| error.to_string())
    };
    for (endpoint, reason) in [
        ("url = \"http://crm.example/\"", "allow_http is not set"),
        ("url = \"ftp://crm.example/\"", "not https"),
        ("url = \"https://me:secret@crm.example/\"", "a password"),
        ("url = \"crm\"", "cannot be read"),
        (
            "url = \"https://crm.example/\"\nin_flight_max = 0",
            "in_flight_max is not",
        ),
    ] {
        let refused = refusal(endpoint).unwrap();
        assert!(refused.contains(reason), "{refused}");
        assert!(!refused.contains("secret@"), "{refused}");
    }
    assert_eq!(refusal("url = \"https://crm.example/\""), None);
    let http = "url = \"http://127.0.0.1:1/\"\nallow_http = true";
    assert_eq!(refusal(http), None);
}
