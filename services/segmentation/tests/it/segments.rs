//! Segments: defined, changed, listed.

use contracts::segmentation::v1::{self as pb, MembershipCause};
use testing::refusal::refused;
use time::{Duration, macros::datetime};
use tonic::Code;
use uuid::Uuid;

use crate::{
    feed::{purchased, registered},
    requests::{Moved, define, define_request, members, moves},
    stack::Stack,
};

const BOUGHT: &str = "purchases.count() > 0";

#[tokio::test]
async fn a_new_segment_holds_whoever_its_rule_selects() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let (buyer, visitor) = (stack.register().await, stack.register().await);
    stack
        .record(purchased(buyer, datetime!(2026-01-05 9:00 UTC), 1_000))
        .await;
    // The facts have arrived before the segment is defined.
    let preview = pb::PreviewSegmentRequest {
        rule: BOUGHT.to_owned(),
        sample_size: 10,
        consistency_token: stack.fed().await,
        ..pb::PreviewSegmentRequest::default()
    };
    let preview = client.preview_segment(preview).await.unwrap().into_inner();
    assert_eq!((preview.members, preview.customers), (1, 2));
    assert_eq!(preview.sample_customer_ids, [buyer.to_string()]);

    let request = define_request("buyers", BOUGHT);
    let answer = client
        .define_segment(request.clone())
        .await
        .unwrap()
        .into_inner();
    let segment = answer.segment.unwrap();
    assert_eq!(
        (segment.name.as_str(), segment.rule.as_str()),
        ("buyers", BOUGHT)
    );
    assert_eq!((segment.rule_version, segment.members), (1, 1));
    let expected = [Moved::new(buyer, true, 1, MembershipCause::Rule)];
    assert_eq!(moves(&stack, &segment).await, expected);

    let listed = pb::ListSegmentMembersRequest {
        segment_id: segment.segment_id.clone(),
        consistency_token: answer.consistency_token,
        ..pb::ListSegmentMembersRequest::default()
    };
    let listed = client
        .list_segment_members(listed)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.rule_version, 1);
    assert_eq!(listed.members.len(), 1);
    assert!(listed.members[0].entered_time.is_some());
    assert_eq!(listed.members[0].rule_version, 1);

    let get = pb::GetSegmentRequest {
        segment_id: segment.segment_id.clone(),
    };
    let got = client.get_segment(get).await.unwrap().into_inner();
    assert_eq!(got.segment.as_ref(), Some(&segment));
    let list = client
        .list_segments(pb::ListSegmentsRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(list.segments, std::slice::from_ref(&segment));

    // The same request again is the same segment.
    let written = stack.written().await;
    let again = client.define_segment(request).await.unwrap().into_inner();
    assert_eq!(again.segment, Some(segment));
    assert_eq!(stack.written().await, written);
    assert_ne!(buyer, visitor);
    stack.stop().await;
}

#[tokio::test]
async fn a_new_rule_is_a_new_version_and_moves_members() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let (small, large) = (stack.register().await, stack.register().await);
    let at = datetime!(2026-01-05 9:00 UTC);
    stack.record(purchased(small, at, 100)).await;
    stack.record(purchased(large, at, 9_000)).await;
    let segment = define(&mut client, "buyers", BOUGHT).await;
    assert_eq!(
        members(&stack, &mut client, &segment).await,
        [small, large].into()
    );

    let request = pb::UpdateSegmentRequest {
        request_id: Uuid::new_v4().to_string(),
        segment_id: segment.segment_id.clone(),
        rule: "purchases.sum_minor() > 1000".to_owned(),
    };
    let updated = client
        .update_segment(request.clone())
        .await
        .unwrap()
        .into_inner();
    let updated = updated.segment.unwrap();
    assert_eq!((updated.rule_version, updated.members), (2, 1));
    assert_eq!(members(&stack, &mut client, &segment).await, [large].into());
    let left = Moved::new(small, false, 2, MembershipCause::Rule);
    assert!(moves(&stack, &segment).await.contains(&left));
    assert_eq!(moves(&stack, &segment).await.len(), 3);

    // Neither the same request nor the same rule changes anything.
    let written = stack.written().await;
    let again = client
        .update_segment(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again.segment.as_ref(), Some(&updated));
    let same_rule = pb::UpdateSegmentRequest {
        request_id: String::new(),
        ..request
    };
    let same = client.update_segment(same_rule).await.unwrap().into_inner();
    assert_eq!(same.segment, Some(updated));
    assert_eq!(stack.written().await, written);
    stack.stop().await;
}

#[tokio::test]
async fn a_name_has_one_segment() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let request = define_request("buyers", BOUGHT);
    let segment = client
        .define_segment(request.clone())
        .await
        .unwrap()
        .into_inner();
    let segment = segment.segment.unwrap();

    let other = define_request("buyers", "true");
    refused(
        &stack,
        Code::AlreadyExists,
        "SEGMENT_NAME_TAKEN",
        client.define_segment(other),
    )
    .await;
    for reused in [
        pb::DefineSegmentRequest {
            rule: "true".to_owned(),
            ..request.clone()
        },
        pb::DefineSegmentRequest {
            name: "others".to_owned(),
            ..request.clone()
        },
    ] {
        let call = client.define_segment(reused);
        refused(
            &stack,
            Code::AlreadyExists,
            "REQUEST_ID_REUSED_WITH_OTHER_CONTENT",
            call,
        )
        .await;
    }
    // Another tenant has names of its own, and does not see this segment.
    let mut other = stack.client_of("other", &["segmentation.*"]);
    let theirs = define(&mut other, "buyers", BOUGHT).await;
    assert_ne!(theirs.segment_id, segment.segment_id);
    let get = pb::GetSegmentRequest {
        segment_id: segment.segment_id,
    };
    refused(&stack, Code::NotFound, "NOT_FOUND", other.get_segment(get)).await;
    stack.stop().await;
}

/// Many at once: exactly one of them gets the name.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_want_a_name_one_gets_it() {
    let stack = Stack::start().await;
    let calls = (0..8).map(|_| {
        let mut client = stack.client();
        async move {
            client
                .define_segment(define_request("wanted", "true"))
                .await
        }
    });
    let answers = futures::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    for answer in answers {
        if let Err(status) = answer {
            assert_eq!(status.code(), Code::AlreadyExists, "{status:?}");
        }
    }
    stack.stop().await;
}

#[tokio::test]
async fn segments_and_members_come_in_pages() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let customers: Vec<_> = (0..5).map(|_| crate::feed::customer()).collect();
    let facts: Vec<_> = customers
        .iter()
        .map(|customer| registered(*customer))
        .collect();
    stack.feed(&stack.customers, &facts).await;
    for name in ["c", "a", "e", "b", "d"] {
        define(&mut client, name, "true").await;
    }
    let mut names = Vec::new();
    let mut request = pb::ListSegmentsRequest {
        page_size: 2,
        ..pb::ListSegmentsRequest::default()
    };
    loop {
        let page = client
            .list_segments(request.clone())
            .await
            .unwrap()
            .into_inner();
        assert!(page.segments.len() <= 2);
        names.extend(page.segments.into_iter().map(|segment| segment.name));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(names, ["a", "b", "c", "d", "e"]);

    let everyone = define(&mut client, "everyone", "true").await;
    let now = service::clock::now() + Duration::seconds(1);
    for as_of in [None, crate::requests::moment(now)] {
        let mut found = Vec::new();
        let mut request = pb::ListSegmentMembersRequest {
            segment_id: everyone.segment_id.clone(),
            as_of,
            page_size: 2,
            page_token: String::new(),
            consistency_token: stack.fed().await,
        };
        loop {
            let page = client
                .list_segment_members(request.clone())
                .await
                .unwrap()
                .into_inner();
            assert!(page.members.len() <= 2);
            found.extend(page.members.into_iter().map(|member| member.customer_id));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        let mut expected: Vec<_> = customers.iter().map(ToString::to_string).collect();
        expected.sort();
        assert_eq!(found, expected);
    }
    stack.stop().await;
}
