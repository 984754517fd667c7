//! One service calls another.

use std::error::Error as _;

use aggregate::TenantId;
use service::config::ServiceName;
use service::{Config, Peer};
use tonic::{Code, Request};
use tracing::Instrument;

use crate::stand::{Stand, call};

const CUSTOMERS: ServiceName = ServiceName::Customers;
const CAMPAIGNS: ServiceName = ServiceName::Campaigns;

fn peer(stand: &Stand) -> Peer {
    let mut config = stand.config.clone();
    config.listen.customers = stand.address.to_string();
    Peer::new(&config, CAMPAIGNS, CUSTOMERS, stand.issuer.clone()).unwrap()
}

fn whoami() -> Request<String> {
    Request::new("whoami".to_owned())
}

#[tokio::test]
async fn a_peer_is_known_by_name_for_the_tenant_at_hand() {
    let stand = Stand::start().await;
    let peer = peer(&stand);
    for tenant in ["acme", "other"] {
        let channel = peer.for_tenant(&TenantId::parse(tenant).unwrap());
        let answer = call(channel, whoami()).await.unwrap();
        assert_eq!(answer, format!("{tenant} service:campaigns customers.*"));
    }
    let answer = call(peer.for_all_tenants(), whoami()).await.unwrap();
    assert_eq!(answer, "system service:campaigns customers.*,all_tenants");
}

#[tokio::test]
async fn a_peer_that_is_not_there_is_unavailable() {
    let stand = Stand::start().await;
    let peer = peer(&stand);
    stand.shutdown.cancel();
    stand.ended().await.unwrap();
    let status = call(peer.for_all_tenants(), whoami()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}

#[tokio::test]
async fn the_trace_goes_with_the_call() {
    let config = Config::default();
    let _guard = telemetry::init(&config.telemetry, "test").unwrap();
    let stand = Stand::start().await;
    let channel = peer(&stand).for_all_tenants();
    let span = tracing::info_span!("caller");
    let ours = span.in_scope(telemetry::current_traceparent).unwrap();
    let theirs = call(channel, Request::new("traceparent".to_owned()))
        .instrument(span)
        .await;
    let theirs = theirs.unwrap();
    assert_eq!(theirs[..36], ours[..36], "the same trace");
    assert_ne!(theirs[36..52], ours[36..52], "another span");
}

#[tokio::test]
async fn an_address_that_is_no_url_is_refused_by_name() {
    let stand = Stand::start().await;
    let mut config = Config::default();
    config.peers.customers = Some("not a url".into());
    let Err(error) = Peer::new(&config, CAMPAIGNS, CUSTOMERS, stand.issuer.clone()) else {
        panic!("it was taken");
    };
    assert_eq!(error.to_string(), "peers.customers is of no use");
    let reason = error.source().unwrap().to_string();
    assert_eq!(reason, "\"not a url\" is not a URL");
}
