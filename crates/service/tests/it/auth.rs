//! Nobody calls without a token, and each refusal says why.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use service::clock;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::stand::{Stand, authorized, call, reason};

fn claims() -> Value {
    let now = clock::now().unix_timestamp();
    json!({
        "iss": "vefa", "aud": "vefa", "sub": "user:1", "tenant": "acme",
        "scope": "*", "iat": now, "exp": now + 60,
    })
}

fn signed(claims: &Value, algorithm: Algorithm, secret: &[u8]) -> String {
    let key = EncodingKey::from_secret(secret);
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key).unwrap()
}

fn with(name: &str, value: Value) -> String {
    let mut claims = claims();
    claims[name] = value;
    signed(&claims, Algorithm::HS256, &[7; 32])
}

fn without(name: &str) -> String {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    signed(&claims, Algorithm::HS256, &[7; 32])
}

#[tokio::test]
async fn a_good_token_makes_its_holder_known() {
    let stand = Stand::start().await;
    assert_eq!(stand.call("whoami").await.unwrap(), "acme user:1 *");
    let channel = stand.connect().await;
    let token = with("aud", json!(["other", "vefa"]));
    assert_eq!(
        call(channel, authorized("hello", &token)).await.unwrap(),
        "hello"
    );
}

#[tokio::test]
async fn who_acts_for_somebody_else_is_the_actor() {
    let stand = Stand::start().await;
    let channel = stand.connect().await;
    let token = with("act", json!({"sub": "service:shop"}));
    let answer = call(channel.clone(), authorized("whoami", &token)).await;
    assert_eq!(answer.unwrap(), "acme service:shop for user:1 *");
    let nobody = with("act", json!({"name": "shop"}));
    let status = call(channel, authorized("hello", &nobody)).await;
    let status = status.unwrap_err();
    assert_eq!(reason(&status), "TOKEN_MALFORMED");
}

#[tokio::test]
async fn every_refusal_says_why() {
    let stand = Stand::start().await;
    let channel = stand.connect().await;
    let now = clock::now().unix_timestamp();
    let good = signed(&claims(), Algorithm::HS256, &[7; 32]);
    let mut changed = good.clone();
    // The claims of one token under the signature of another.
    let signature = good.rsplit_once('.').unwrap().1;
    changed.replace_range(.., &with("tenant", json!("other")));
    let changed = format!("{}.{signature}", changed.rsplit_once('.').unwrap().0);
    let cases = [
        ("nonsense".to_owned(), "TOKEN_MALFORMED"),
        (String::new(), "TOKEN_MALFORMED"),
        (
            signed(&claims(), Algorithm::HS256, &[8; 32]),
            "TOKEN_SIGNATURE_INVALID",
        ),
        (changed, "TOKEN_SIGNATURE_INVALID"),
        (
            signed(&claims(), Algorithm::HS512, &[7; 32]),
            "TOKEN_MALFORMED",
        ),
        (with("exp", json!(now - 60)), "TOKEN_EXPIRED"),
        (with("nbf", json!(now + 60)), "TOKEN_NOT_YET_VALID"),
        (with("iss", json!("elsewhere")), "TOKEN_ISSUER_INVALID"),
        (with("aud", json!("elsewhere")), "TOKEN_AUDIENCE_INVALID"),
        (with("tenant", json!("Not A Tenant")), "TOKEN_MALFORMED"),
        (without("tenant"), "TOKEN_MALFORMED"),
        (without("exp"), "TOKEN_MALFORMED"),
        (without("aud"), "TOKEN_MALFORMED"),
        (without("iss"), "TOKEN_MALFORMED"),
    ];
    for (token, expected) in cases {
        let status = call(channel.clone(), authorized("whoami", &token))
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{expected}");
        assert_eq!(reason(&status), expected, "{token}");
    }
    let missing = Request::new("whoami".to_owned());
    let mut basic = Request::new("whoami".to_owned());
    basic
        .metadata_mut()
        .insert("authorization", "Basic dTpw".parse().unwrap());
    for request in [missing, basic] {
        let status = call(channel.clone(), request).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
        assert_eq!(reason(&status), "TOKEN_MISSING");
    }
}

#[tokio::test]
async fn a_missing_scope_is_denied_by_name() {
    let stand = Stand::start().await;
    let channel = stand.connect().await;
    let reader = authorized("write", &stand.token(&["test.read"]));
    let status = call(channel.clone(), reader).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::PermissionDenied, "SCOPE_MISSING")
    );
    let writer = authorized("write", &stand.token(&["test.read", "test.write"]));
    assert_eq!(call(channel, writer).await.unwrap(), "written");
}

#[tokio::test]
async fn health_needs_no_token() {
    let stand = Stand::start().await;
    let mut health = HealthClient::new(stand.connect().await);
    for service in ["", "vefa.test.v1.Test"] {
        let request = HealthCheckRequest {
            service: service.into(),
        };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status, 1, "{service:?} is SERVING");
    }
}

#[tokio::test]
async fn reflection_needs_no_token_and_lists_what_is_served() {
    let stand = Stand::start().await;
    let mut reflection = ServerReflectionClient::new(stand.connect().await);
    let request = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let mut answers = reflection
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap()
        .into_inner();
    let answer = answers
        .message()
        .await
        .unwrap()
        .unwrap()
        .message_response
        .unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else {
        panic!("not a list: {answer:?}");
    };
    let mut names: Vec<_> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "vefa.test.v1.Test"
        ]
    );
}

/// A path in the shape of an open one opens nothing else.
#[tokio::test]
async fn an_unknown_method_is_refused_before_it_is_looked_for() {
    let stand = Stand::start().await;
    let mut client = tonic::client::Grpc::new(stand.connect().await);
    client.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/vefa.test.v1.Nothing/Call");
    let codec = tonic_prost::ProstCodec::<String, String>::default();
    let status = client
        .unary(Request::new(String::new()), path, codec)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_token_that_was_good_before_is_refused_once_it_has_expired() {
    let stand = Stand::start().await;
    let channel = stand.connect().await;
    // Its time is over, within what clocks may differ: good for two seconds more.
    let skew = i64::try_from(service::Config::default().auth.clock_skew_s_max).unwrap();
    let token = with("exp", json!(clock::now().unix_timestamp() - skew + 2));
    call(channel.clone(), authorized("hello", &token))
        .await
        .unwrap();
    let refused = async {
        loop {
            match call(channel.clone(), authorized("hello", &token)).await {
                Ok(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(status) => return status,
            }
        }
    };
    let refused = tokio::time::timeout(Duration::from_secs(10), refused)
        .await
        .unwrap();
    assert_eq!(reason(&refused), "TOKEN_EXPIRED");
}
