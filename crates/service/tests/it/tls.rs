//! Over TLS: who is let in, who is believed, and what happens when certificates are replaced.

use std::error::Error;
use std::fs;
use std::path::Path;

use service::client::Address;
use service::config::{Peers, ServiceName, Tls};
use service::tls::ServerTls;
use service::{Config, Peer};
use testing::{Issued, TestCa, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::{Request, Status};

use crate::stand::{LIMIT, Stand, authorized, call};

/// When the certificates of a [`TestCa`] end: 2045 begins.
const GOOD_UNTIL_UNIX_S: u64 = 2_366_841_600;

fn show(tls: &mut Tls, issued: &Issued) {
    tls.certificate_file = Some(issued.certificate.clone());
    tls.key_file = Some(issued.key.clone());
    tls.reload_interval_ms = 20;
}

/// A server that shows this, and asks those who come for a certificate of `client_ca`.
async fn stand(issued: &Issued, client_ca: Option<&TestCa>) -> Stand {
    stand_with(issued, client_ca, |_| {}).await
}

async fn stand_with(
    issued: &Issued,
    client_ca: Option<&TestCa>,
    change: impl FnOnce(&mut Config),
) -> Stand {
    Stand::start_with(|config| {
        show(&mut config.tls, issued);
        config.tls.client_ca_file = client_ca.map(TestCa::file);
        change(config);
    })
    .await
}

/// Whom a client believes, and what it shows.
fn believing(ca: &TestCa, identity: Option<&Issued>) -> Peers {
    let mut peers = Config::default().peers;
    peers.ca_file = Some(ca.file());
    peers.certificate_file = identity.map(|one| one.certificate.clone());
    peers.key_file = identity.map(|one| one.key.clone());
    peers
}

/// A service that calls the stand.
fn peer(stand: &Stand, peers: &Peers) -> Peer {
    let mut config = stand.config.clone();
    config.peers = peers.clone();
    config.listen.customers = stand.address.to_string();
    let (from, to) = (ServiceName::Campaigns, ServiceName::Customers);
    Peer::new(&config, from, to, stand.issuer.clone()).unwrap()
}

async fn ask(peer: &Peer) -> Result<String, Status> {
    let request = Request::new("hello".to_owned());
    call(peer.for_all_tenants(), request).await
}

/// The answer on a connection of its own, or why there is none.
async fn ask_anew(stand: &Stand, peers: &Peers) -> Result<String, String> {
    let url = format!("https://{}", stand.address);
    let connected = Address::new(&url, peers).unwrap().connect().await;
    let channel = connected.map_err(|error| chain(&error))?;
    let request = authorized("hello", &stand.token(&["*"]));
    call(channel, request)
        .await
        .map_err(|status| chain(&status))
}

fn chain(error: &dyn Error) -> String {
    let next = std::iter::successors(error.source(), |error| (*error).source());
    next.fold(error.to_string(), |text, error| format!("{text}: {error}"))
}

async fn reached(what: &str, holds: impl AsyncFn() -> bool) {
    eventually(LIMIT, what, async || holds().await.then_some(())).await;
}

#[tokio::test]
async fn services_call_each_other_over_tls() {
    let ca = TestCa::new().unwrap();
    let stand = stand(&ca.issue("server").unwrap(), None).await;
    let peer = peer(&stand, &believing(&ca, None));
    assert_eq!(ask(&peer).await.unwrap(), "hello");
    let tls = stand.tls.as_ref().unwrap();
    assert_eq!(tls.expires_unix_s(), GOOD_UNTIL_UNIX_S);
}

#[tokio::test]
async fn who_speaks_in_clear_is_refused() {
    let ca = TestCa::new().unwrap();
    let stand = stand(&ca.issue("server").unwrap(), None).await;
    let mut stream = TcpStream::connect(stand.address).await.unwrap();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(LIMIT, stream.read_to_end(&mut answer)).await;
    // Closed, perhaps with an alert (RFC 8446, 5.1: content type 21), and nothing of HTTP/2.
    let _closed = read.expect("in time");
    assert!(answer.is_empty() || answer[0] == 21, "{answer:?}");
}

#[tokio::test]
async fn a_server_of_another_ca_is_not_believed() {
    let (ca, other) = (TestCa::new().unwrap(), TestCa::new().unwrap());
    let stand = stand(&ca.issue("server").unwrap(), None).await;
    let refused = ask_anew(&stand, &believing(&other, None))
        .await
        .unwrap_err();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
    // The same from one service to another, which goes on trying.
    let status = ask(&peer(&stand, &believing(&other, None))).await;
    assert_eq!(status.unwrap_err().code(), tonic::Code::Unavailable);
}

#[tokio::test]
async fn a_server_of_another_name_is_not_believed() {
    let ca = TestCa::new().unwrap();
    let elsewhere = ca.issue_for("server", &["customers"]).unwrap();
    let stand = stand(&elsewhere, None).await;
    let refused = ask_anew(&stand, &believing(&ca, None)).await.unwrap_err();
    assert!(refused.contains("not valid for name"), "{refused}");
}

#[tokio::test]
async fn who_has_no_certificate_of_the_client_ca_is_refused() {
    let (ca, clients, others) = (
        TestCa::new().unwrap(),
        TestCa::new().unwrap(),
        TestCa::new().unwrap(),
    );
    let stand = stand(&ca.issue("server").unwrap(), Some(&clients)).await;
    // With TLS 1.3 a caller is done before the server has looked: why it is refused may be lost with the connection.
    let refused = ask_anew(&stand, &believing(&ca, None)).await;
    assert!(refused.is_err(), "{refused:?}");
    let foreign = others.issue("client").unwrap();
    let refused = ask_anew(&stand, &believing(&ca, Some(&foreign))).await;
    assert!(refused.is_err(), "{refused:?}");
    let known = clients.issue("client").unwrap();
    let answer = ask_anew(&stand, &believing(&ca, Some(&known))).await;
    assert_eq!(answer.unwrap(), "hello");
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_whoever_comes_next_and_nobody_is_cut_off() {
    let (old, new) = (TestCa::new().unwrap(), TestCa::new().unwrap());
    let issued = old.issue("server").unwrap();
    let stand = stand(&issued, None).await;
    let before = peer(&stand, &believing(&old, None));
    assert_eq!(ask(&before).await.unwrap(), "hello");
    ask_anew(&stand, &believing(&new, None)).await.unwrap_err();

    let next = new.issue("server").unwrap();
    fs::copy(&next.key, &issued.key).unwrap();
    fs::copy(&next.certificate, &issued.certificate).unwrap();
    reached("the new certificate to be shown", async || {
        ask_anew(&stand, &believing(&new, None)).await.is_ok()
    })
    .await;
    let refused = ask_anew(&stand, &believing(&old, None)).await.unwrap_err();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
    assert_eq!(ask(&before).await.unwrap(), "hello", "on its connection");
}

#[tokio::test]
async fn clients_of_a_new_ca_are_let_in_and_those_of_the_old_one_no_more() {
    let (ca, old, new) = (
        TestCa::new().unwrap(),
        TestCa::new().unwrap(),
        TestCa::new().unwrap(),
    );
    let stand = stand(&ca.issue("server").unwrap(), Some(&old)).await;
    let old_client = old.issue("client").unwrap();
    let new_client = new.issue("client").unwrap();
    let old_one = believing(&ca, Some(&old_client));
    let new_one = believing(&ca, Some(&new_client));
    ask_anew(&stand, &old_one).await.unwrap();
    ask_anew(&stand, &new_one).await.unwrap_err();
    fs::copy(new.file(), old.file()).unwrap();
    reached("the new CA to be believed", async || {
        ask_anew(&stand, &new_one).await.is_ok()
    })
    .await;
    ask_anew(&stand, &old_one).await.unwrap_err();
}

#[tokio::test]
async fn what_is_of_no_use_leaves_the_certificate_of_before() {
    let ca = TestCa::new().unwrap();
    let issued = ca.issue("server").unwrap();
    let stand = stand(&issued, None).await;
    let tls = stand.tls.clone().unwrap();
    let believing = believing(&ca, None);
    let good = |path: &Path| fs::read(path).unwrap();
    let (certificate, key) = (good(&issued.certificate), good(&issued.key));
    let another = ca.issue("another").unwrap();
    // Not there, no certificate, and the key of another one, as while both are being replaced.
    for (file, broken) in [
        (&issued.certificate, None),
        (&issued.certificate, Some(b"-----BEGIN".to_vec())),
        (&issued.key, Some(good(&another.key))),
    ] {
        match broken {
            None => fs::remove_file(file).unwrap(),
            Some(text) => fs::write(file, text).unwrap(),
        }
        reached("it to be told", async || tls.is_stale()).await;
        assert_eq!(ask_anew(&stand, &believing).await.unwrap(), "hello");
        fs::write(&issued.certificate, &certificate).unwrap();
        fs::write(&issued.key, &key).unwrap();
        reached("it to be well again", async || !tls.is_stale()).await;
    }
}

#[tokio::test]
async fn a_client_reads_its_files_at_every_connection() {
    let (ca, clients) = (TestCa::new().unwrap(), TestCa::new().unwrap());
    let stand = stand(&ca.issue("server").unwrap(), Some(&clients)).await;
    // Of a CA that the server does not know.
    let issued = ca.issue("client").unwrap();
    let peer = peer(&stand, &believing(&ca, Some(&issued)));
    ask(&peer).await.unwrap_err();
    let renewed = clients.issue("client").unwrap();
    fs::copy(&renewed.key, &issued.key).unwrap();
    fs::copy(&renewed.certificate, &issued.certificate).unwrap();
    reached("the server to let it in", async || ask(&peer).await.is_ok()).await;
}

#[tokio::test]
async fn who_does_not_shake_hands_holds_nobody_up() {
    let ca = TestCa::new().unwrap();
    let stand = stand_with(&ca.issue("server").unwrap(), None, |config| {
        // Not this limit is to let the others in.
        config.limits.handshake_timeout_ms = 60_000;
    })
    .await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(TcpStream::connect(stand.address).await.unwrap());
    }
    let peers = believing(&ca, None);
    let answer = tokio::time::timeout(LIMIT, ask_anew(&stand, &peers)).await;
    assert_eq!(answer.expect("in time").unwrap(), "hello");
}

#[tokio::test]
async fn who_does_not_shake_hands_is_closed_in_time_and_gives_its_place_back() {
    let ca = TestCa::new().unwrap();
    let stand = stand_with(&ca.issue("server").unwrap(), None, |config| {
        config.limits.connections_max = 2;
        config.limits.handshake_timeout_ms = 1_000;
    })
    .await;
    for _ in 0..4 {
        let mut silent = TcpStream::connect(stand.address).await.unwrap();
        let mut said = Vec::new();
        let read = tokio::time::timeout(LIMIT, silent.read_to_end(&mut said)).await;
        let _closed = read.expect("closed in time");
    }
    let peers = believing(&ca, None);
    assert_eq!(ask_anew(&stand, &peers).await.unwrap(), "hello");
}

#[tokio::test]
async fn what_the_configuration_lacks_is_named() {
    let ca = TestCa::new().unwrap();
    let issued = ca.issue("server").unwrap();
    let mut tls = Config::default().tls;
    assert!(ServerTls::open(&tls).unwrap().is_none(), "in clear");
    show(&mut tls, &issued);
    let refused = |tls: &Tls| chain(&ServerTls::open(tls).err().unwrap());
    tls.key_file = Some(issued.certificate.clone());
    assert!(refused(&tls).contains("server.crt: no items found"));
    tls.key_file = Some("/nowhere/server.key".into());
    assert!(refused(&tls).contains("cannot read /nowhere/server.key"));

    let peers = Config::default().peers;
    let url = "https://customers:7401";
    let error = Address::new(url, &peers).err().unwrap();
    assert!(error.to_string().contains("needs peers.ca_file"), "{error}");
    let mut config = Config::default();
    show(&mut config.tls, &issued);
    let own = config.peer_url(ServiceName::Customers);
    assert_eq!(own, "https://127.0.0.1:7401");
}
