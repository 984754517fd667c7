//! What is refused of segments and rules: each with its code, its fields, and no event. And who is refused everything.

use contracts::segmentation::v1 as pb;
use testing::{
    refusal::{fields, malformed, refused},
    stack::TENANT,
};
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::{
    requests::{define, define_request},
    stack::{Client, Stack},
};

#[tokio::test]
async fn a_rule_with_an_error_is_refused_with_its_place() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let segment = define(&mut client, "good", "true").await;
    let cases = [
        ("customer.kind ==", "1", "17"),
        ("purchases.count() > \"3\"", "1", "1"),
        (
            "customer.country == \"TR\"\n  && measures.wealth > 3",
            "2",
            "6",
        ),
        ("1 + 1", "1", "1"),
    ];
    for (rule, line, column) in cases {
        let status = refused(
            &stack,
            Code::InvalidArgument,
            "RULE_INVALID",
            client.define_segment(define_request("bad", rule)),
        )
        .await;
        let details = status.get_details_error_info().unwrap();
        assert_eq!(details.domain, "vefa");
        let place = (
            details.metadata["line"].as_str(),
            details.metadata["column"].as_str(),
        );
        assert_eq!(place, (line, column), "{rule}: {status:?}");
        assert_eq!(fields(&status), ["rule"]);
        let update = pb::UpdateSegmentRequest {
            request_id: String::new(),
            segment_id: segment.segment_id.clone(),
            rule: rule.to_owned(),
        };
        refused(
            &stack,
            Code::InvalidArgument,
            "RULE_INVALID",
            client.update_segment(update),
        )
        .await;
        let preview = pb::PreviewSegmentRequest {
            rule: rule.to_owned(),
            ..pb::PreviewSegmentRequest::default()
        };
        refused(
            &stack,
            Code::InvalidArgument,
            "RULE_INVALID",
            client.preview_segment(preview),
        )
        .await;
    }
    let long = "x".repeat(4097);
    let call = client.define_segment(define_request("bad", &long));
    refused(&stack, Code::InvalidArgument, "RULE_INVALID", call).await;
    stack.stop().await;
}

#[tokio::test]
async fn malformed_requests_are_refused_at_the_field() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    for name in ["", "Buyers", "a b", &"a".repeat(65)] {
        let call = client.define_segment(define_request(name, "true"));
        malformed(&stack, &["name"], call).await;
    }
    let request = pb::DefineSegmentRequest {
        request_id: "x".repeat(129),
        ..define_request("a", "true")
    };
    malformed(&stack, &["request_id"], client.define_segment(request)).await;

    let preview = pb::PreviewSegmentRequest {
        rule: "true".to_owned(),
        ..pb::PreviewSegmentRequest::default()
    };
    let bad_moment = Some(prost_types::Timestamp {
        seconds: 0,
        nanos: -1,
    });
    for (field, request) in [
        (
            "sample_size",
            pb::PreviewSegmentRequest {
                sample_size: 101,
                ..preview.clone()
            },
        ),
        (
            "sample_size",
            pb::PreviewSegmentRequest {
                sample_size: -1,
                ..preview.clone()
            },
        ),
        (
            "as_of",
            pb::PreviewSegmentRequest {
                as_of: bad_moment,
                ..preview.clone()
            },
        ),
        (
            "consistency_token",
            pb::PreviewSegmentRequest {
                consistency_token: "?".to_owned(),
                ..preview.clone()
            },
        ),
    ] {
        malformed(&stack, &[field], client.preview_segment(request)).await;
    }

    let segment = define(&mut client, "good", "true").await;
    let list = pb::ListSegmentMembersRequest {
        segment_id: segment.segment_id.clone(),
        ..pb::ListSegmentMembersRequest::default()
    };
    for (field, request) in [
        (
            "segment_id",
            pb::ListSegmentMembersRequest {
                segment_id: "7".to_owned(),
                ..list.clone()
            },
        ),
        (
            "as_of",
            pb::ListSegmentMembersRequest {
                as_of: bad_moment,
                ..list.clone()
            },
        ),
        (
            "page_size",
            pb::ListSegmentMembersRequest {
                page_size: -1,
                ..list.clone()
            },
        ),
        (
            "page_token",
            pb::ListSegmentMembersRequest {
                page_token: "x".to_owned(),
                ..list.clone()
            },
        ),
        (
            "consistency_token",
            pb::ListSegmentMembersRequest {
                consistency_token: "?".to_owned(),
                ..list.clone()
            },
        ),
    ] {
        malformed(&stack, &[field], client.list_segment_members(request)).await;
    }
    let page = pb::ListSegmentsRequest {
        page_size: -1,
        page_token: String::new(),
    };
    malformed(&stack, &["page_size"], client.list_segments(page)).await;

    let explain = pb::ExplainMembershipRequest {
        segment_id: segment.segment_id.clone(),
        customer_id: Uuid::new_v4().to_string(),
        as_of: None,
    };
    for (field, request) in [
        (
            "segment_id",
            pb::ExplainMembershipRequest {
                segment_id: "7".to_owned(),
                ..explain.clone()
            },
        ),
        (
            "customer_id",
            pb::ExplainMembershipRequest {
                customer_id: "7".to_owned(),
                ..explain.clone()
            },
        ),
        (
            "as_of",
            pb::ExplainMembershipRequest {
                as_of: bad_moment,
                ..explain.clone()
            },
        ),
    ] {
        malformed(&stack, &[field], client.explain_membership(request)).await;
    }
    let get = pb::GetSegmentRequest {
        segment_id: "7".to_owned(),
    };
    malformed(&stack, &["segment_id"], client.get_segment(get)).await;
    let update = pb::UpdateSegmentRequest {
        request_id: String::new(),
        segment_id: "7".to_owned(),
        rule: "true".to_owned(),
    };
    malformed(&stack, &["segment_id"], client.update_segment(update)).await;
    stack.stop().await;
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let stack = Stack::start().await;
    let mine = define(&mut stack.client(), "mine", "true").await;
    let nowhere = Uuid::new_v4().to_string();
    // One that nobody has, and one that another tenant has.
    for (mut client, segment_id) in [
        (stack.client(), nowhere),
        (
            stack.client_of("other", &["segmentation.*"]),
            mine.segment_id,
        ),
    ] {
        let get = pb::GetSegmentRequest {
            segment_id: segment_id.clone(),
        };
        refused(&stack, Code::NotFound, "NOT_FOUND", client.get_segment(get)).await;
        let update = pb::UpdateSegmentRequest {
            request_id: Uuid::new_v4().to_string(),
            segment_id: segment_id.clone(),
            rule: "false".to_owned(),
        };
        refused(
            &stack,
            Code::NotFound,
            "NOT_FOUND",
            client.update_segment(update),
        )
        .await;
        let list = pb::ListSegmentMembersRequest {
            segment_id: segment_id.clone(),
            ..pb::ListSegmentMembersRequest::default()
        };
        refused(
            &stack,
            Code::NotFound,
            "NOT_FOUND",
            client.list_segment_members(list),
        )
        .await;
        let explain = pb::ExplainMembershipRequest {
            segment_id,
            customer_id: Uuid::new_v4().to_string(),
            as_of: None,
        };
        refused(
            &stack,
            Code::NotFound,
            "NOT_FOUND",
            client.explain_membership(explain),
        )
        .await;
    }
    stack.stop().await;
}

/// Calls every method with an empty request.
async fn call_all(client: &mut Client) -> Vec<(&'static str, &'static str, Status)> {
    fn refusal<T>(called: Result<Response<T>, Status>) -> Status {
        called.err().unwrap_or_else(|| Status::ok("not refused"))
    }
    macro_rules! called {
        ($($scope:literal $method:ident($request:ty)),* $(,)?) => {
            vec![$((stringify!($method), $scope, refusal(client.$method(<$request>::default()).await))),*]
        };
    }
    called![
        "segmentation.write" fit_models(pb::FitModelsRequest),
        "segmentation.read" get_fit(pb::GetFitRequest),
        "segmentation.read" validate_fit(pb::ValidateFitRequest),
        "segmentation.read" get_customer_value(pb::GetCustomerValueRequest),
        "segmentation.read" list_customer_values(pb::ListCustomerValuesRequest),
        "segmentation.read" list_tiers(pb::ListTiersRequest),
        "segmentation.write" define_segment(pb::DefineSegmentRequest),
        "segmentation.write" update_segment(pb::UpdateSegmentRequest),
        "segmentation.read" get_segment(pb::GetSegmentRequest),
        "segmentation.read" list_segments(pb::ListSegmentsRequest),
        "segmentation.read" preview_segment(pb::PreviewSegmentRequest),
        "segmentation.read" list_segment_members(pb::ListSegmentMembersRequest),
        "segmentation.read" explain_membership(pb::ExplainMembershipRequest),
    ]
}

#[tokio::test]
async fn nobody_gets_in_without_a_token_and_the_right_scope() {
    let stack = Stack::start().await;
    let written = stack.written().await;
    for (method, _, status) in call_all(&mut stack.client_without_token()).await {
        assert_eq!(status.code(), Code::Unauthenticated, "{method}");
    }
    for granted in ["segmentation.read", "segmentation.write", "customers.*"] {
        let mut client = stack.client_of(TENANT, &[granted]);
        for (method, needed, status) in call_all(&mut client).await {
            let denied = status.code() == Code::PermissionDenied;
            assert_eq!(
                denied,
                granted != needed,
                "{method} with {granted}: {status:?}"
            );
        }
    }
    assert_eq!(stack.written().await, written);
    stack.stop().await;
}
