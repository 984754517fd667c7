//! What is measured of calls.

use http::uri::PathAndQuery;
use prometheus_client::{encoding::prometheus_text::encode, registry::Registry};
use tonic::Code;
use tonic_prost::ProstCodec;

use crate::stand::{LIMIT, Stand, authorized, reached};

/// The series of how many calls there were, with their numbers.
fn counted(stand: &Stand) -> Vec<String> {
    let mut registry = Registry::default();
    stand.calls.register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    let name = "rpc_server_call_duration_seconds_count";
    let mut counted: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix(name).map(str::to_owned))
        .collect();
    counted.sort();
    counted
}

fn series(method: &str, code: &str, count: usize) -> String {
    format!("{{rpc_method=\"{method}\",rpc_response_status_code=\"{code}\"}} {count}")
}

#[tokio::test]
async fn calls_are_counted_by_method_and_status_and_by_nothing_that_a_caller_chose() {
    let stand = Stand::start().await;
    for text in ["one", "another", "panic"] {
        let _answered = stand.call(text).await;
    }
    let channel = stand.connect().await;
    for made_up in ["/vefa.nobody.v1.Nobody/Call", "/nobody/knows", "/acme"] {
        let mut client = tonic::client::Grpc::new(channel.clone());
        client.ready().await.unwrap();
        let request = authorized("x", &stand.token(&["*"]));
        let codec = ProstCodec::<String, String>::default();
        let path = PathAndQuery::from_static(made_up);
        let refused = client
            .unary::<String, String, _>(request, path, codec)
            .await;
        assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
    }
    let expected = [
        series("_OTHER", "UNIMPLEMENTED", 3),
        series("vefa.test.v1.Test/Call", "INTERNAL", 1),
        series("vefa.test.v1.Test/Call", "OK", 2),
    ];
    assert_eq!(counted(&stand), expected);
}

#[tokio::test]
async fn a_call_whose_client_went_away_is_counted_as_cancelled() {
    let stand = Stand::start().await;
    tokio::select! {
        answer = stand.call("hang") => panic!("it does not hang: {answer:?}"),
        () = reached(&stand.backstage.begun, 1) => {}
    }
    reached(&stand.backstage.dropped, 1).await;
    let expected = series("vefa.test.v1.Test/Call", "CANCELLED", 1);
    let counted_as = async {
        while counted(&stand) != [expected.clone()] {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(LIMIT, counted_as).await;
    assert!(in_time.is_ok(), "{:?}", counted(&stand));
}
