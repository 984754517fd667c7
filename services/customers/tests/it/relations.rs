//! How customers are related to each other.

use contracts::customers::v1 as pb;
use contracts::customers::v1::RelationType::{
    EmployeeOf, ReferredBy, SharesHouseholdWith, SubsidiaryOf,
};
use futures::future::join_all;
use testing::refusal::refused;
use time::{Duration, OffsetDateTime, macros::datetime};
use tonic::Code;
use uuid::Uuid;

use crate::{
    requests::{
        add_relation, business, end_relation, get, list_changes, moment, register, registration,
        walk,
    },
    stack::{Client, Stack},
};

const FIRST: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

fn day(number: i64) -> Option<prost_types::Timestamp> {
    moment(FIRST + Duration::days(number))
}

async fn businesses(client: &mut Client, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        let request = pb::RegisterCustomerRequest {
            registered_time: day(0),
            ..business(&format!("Firma {number}"))
        };
        ids.push(register(client, request).await);
    }
    ids
}

async fn relate(
    client: &mut Client,
    from: &str,
    r#type: pb::RelationType,
    to: &str,
    start: i64,
) -> String {
    let request = pb::AddRelationRequest {
        start_time: day(start),
        ..add_relation(from, r#type, to)
    };
    let answer = client.add_relation(request).await.unwrap();
    answer.into_inner().relation_id
}

/// Who is related to whom, beginning with one.
async fn related(client: &mut Client, request: pb::WalkRelationsRequest) -> Vec<(String, String)> {
    let answer = client.walk_relations(request).await.unwrap().into_inner();
    answer
        .relations
        .into_iter()
        .map(|relation| (relation.customer_id, relation.related_customer_id))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_show_a_relation_until_it_ends() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let firm = register(&mut client, business("Yılmaz A.Ş.")).await;
    let ayse = register(&mut client, registration()).await;
    let relation = relate(&mut client, &ayse, EmployeeOf, &firm, 10).await;
    let expected = pb::Relation {
        relation_id: relation.clone(),
        r#type: EmployeeOf.into(),
        customer_id: ayse.clone(),
        related_customer_id: firm.clone(),
        start_time: day(10),
        end_time: None,
    };
    for id in [&ayse, &firm] {
        let shown = get(&mut client, id).await.relations;
        assert_eq!(shown, std::slice::from_ref(&expected));
    }
    // The one who is named may be the other of the two.
    let end = pb::EndRelationRequest {
        end_time: day(20),
        ..end_relation(&firm, &relation)
    };
    client.end_relation(end).await.unwrap();
    for id in [&ayse, &firm] {
        assert_eq!(get(&mut client, id).await.relations, []);
        let changes = client.list_changes(list_changes(id)).await.unwrap();
        let changes = changes.into_inner().changes;
        let ended = changes.last().unwrap();
        let path = format!("relations[{relation}].type");
        assert!(ended.fields.iter().any(|field| field.path == path));
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_tree_is_walked_from_anywhere_and_as_of_any_moment() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let firms = businesses(&mut client, 5).await;
    // 0 is above 1 and 2, 2 above 3; 4 comes to stand below 3 on day 20.
    for (from, to) in [(1, 0), (2, 0), (3, 2)] {
        relate(&mut client, &firms[from], SubsidiaryOf, &firms[to], 10).await;
    }
    let pair = |from: usize, to: usize| (firms[from].clone(), firms[to].clone());
    for start in &firms[..4] {
        let mut found = related(&mut client, walk(start, SubsidiaryOf)).await;
        found.sort();
        let mut expected = vec![pair(1, 0), pair(2, 0), pair(3, 2)];
        expected.sort();
        assert_eq!(found, expected, "from {start}");
    }
    assert_eq!(
        related(&mut client, walk(&firms[3], SubsidiaryOf)).await[0],
        pair(3, 2),
        "the nearest first"
    );
    relate(&mut client, &firms[4], SubsidiaryOf, &firms[3], 20).await;
    for (at, size) in [(9, 0), (10, 3), (19, 3), (20, 4)] {
        let request = pb::WalkRelationsRequest {
            as_of: day(at),
            ..walk(&firms[0], SubsidiaryOf)
        };
        let found = related(&mut client, request).await;
        assert_eq!(found.len(), size, "on day {at}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_household_is_walked_whoever_told_of_it() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let mut people = Vec::new();
    for _ in 0..3 {
        let request = pb::RegisterCustomerRequest {
            registered_time: day(0),
            ..registration()
        };
        people.push(register(&mut client, request).await);
    }
    let [ayse, can, deniz] = people.as_slice() else {
        panic!("three people")
    };
    let first = relate(&mut client, ayse, SharesHouseholdWith, can, 10).await;
    relate(&mut client, deniz, SharesHouseholdWith, can, 20).await;
    let whole = related(&mut client, walk(ayse, SharesHouseholdWith)).await;
    let expected = [(ayse.clone(), can.clone()), (deniz.clone(), can.clone())];
    assert_eq!(whole, expected);
    let end = pb::EndRelationRequest {
        end_time: day(30),
        ..end_relation(ayse, &first)
    };
    client.end_relation(end).await.unwrap();
    assert_eq!(
        related(&mut client, walk(ayse, SharesHouseholdWith)).await,
        []
    );
    for (at, size) in [(9, 0), (10, 1), (20, 2), (29, 2), (30, 0)] {
        let request = pb::WalkRelationsRequest {
            as_of: day(at),
            ..walk(ayse, SharesHouseholdWith)
        };
        let found = related(&mut client, request).await;
        assert_eq!(found.len(), size, "on day {at}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_what_makes_no_sense_and_leaves_no_trace() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let firms = businesses(&mut client, 3).await;
    let ayse = register(&mut client, registration()).await;
    let can = register(&mut client, registration()).await;
    relate(&mut client, &firms[0], SubsidiaryOf, &firms[1], 0).await;
    relate(&mut client, &firms[1], SubsidiaryOf, &firms[2], 0).await;
    let referral = relate(&mut client, &ayse, ReferredBy, &can, 0).await;
    let failed = Code::FailedPrecondition;
    for (reason, from, r#type, to) in [
        ("RELATION_CYCLE", &firms[2], SubsidiaryOf, &firms[0]),
        ("RELATION_CYCLE", &can, ReferredBy, &ayse),
        ("RELATION_CYCLE", &ayse, SharesHouseholdWith, &ayse),
        ("RELATION_KINDS", &firms[0], EmployeeOf, &firms[1]),
        ("PARENT_EXISTS", &firms[0], SubsidiaryOf, &firms[2]),
        ("REFERRER_EXISTS", &ayse, ReferredBy, &firms[0]),
    ] {
        let request = add_relation(from, r#type, to);
        refused(&stack, failed, reason, client.add_relation(request)).await;
    }
    let again = add_relation(&firms[0], SubsidiaryOf, &firms[1]);
    let exists = client.add_relation(again);
    refused(&stack, Code::AlreadyExists, "RELATION_EXISTS", exists).await;
    let nobody = Uuid::from_u128(404).to_string();
    let unknown = client.add_relation(add_relation(&ayse, ReferredBy, &nobody));
    refused(&stack, Code::NotFound, "NOT_FOUND", unknown).await;
    let elsewhere = register(
        &mut stack.client_of("other", &["customers.*"]),
        registration(),
    )
    .await;
    let other_tenant = add_relation(&ayse, SharesHouseholdWith, &elsewhere);
    let other_tenant = client.add_relation(other_tenant);
    refused(&stack, Code::NotFound, "NOT_FOUND", other_tenant).await;
    let permanent = client.end_relation(end_relation(&ayse, &referral));
    refused(&stack, failed, "RELATION_PERMANENT", permanent).await;
    let home = relate(&mut client, &ayse, SharesHouseholdWith, &can, 5).await;
    let early = pb::EndRelationRequest {
        end_time: day(4),
        ..end_relation(&ayse, &home)
    };
    refused(&stack, failed, "OUT_OF_ORDER", client.end_relation(early)).await;
    client
        .end_relation(end_relation(&can, &home))
        .await
        .unwrap();
    let twice = client.end_relation(end_relation(&ayse, &home));
    refused(&stack, failed, "RELATION_ENDED", twice).await;
    stack.stop().await;
}

/// Eight firms, each of which becomes a subsidiary of the next at the same time: all but one do.
#[tokio::test(flavor = "multi_thread")]
async fn a_circle_that_is_closed_from_all_sides_at_once_stays_open() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    for _ in 0..3 {
        let firms = businesses(&mut client, 8).await;
        let calls = (0..8).map(|number| {
            let mut client = stack.client();
            let request = add_relation(&firms[number], SubsidiaryOf, &firms[(number + 1) % 8]);
            async move { client.add_relation(request).await }
        });
        let answers = join_all(calls).await;
        let refused: Vec<_> = answers
            .iter()
            .filter_map(|one| one.as_ref().err())
            .collect();
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert_eq!(refused[0].code(), Code::FailedPrecondition);
        let whole = related(&mut client, walk(&firms[0], SubsidiaryOf)).await;
        assert_eq!(whole.len(), 7);
    }
    stack.stop().await;
}

/// Neither names anybody whom the other names: they meet above only.
#[tokio::test(flavor = "multi_thread")]
async fn two_relations_that_would_close_a_circle_through_others_do_not_both_take_effect() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    for round in 0..25 {
        let firms = businesses(&mut client, 6).await;
        for (from, to) in [(0, 1), (1, 2), (3, 4), (4, 5)] {
            relate(&mut client, &firms[from], SubsidiaryOf, &firms[to], 0).await;
        }
        let calls = [(2, 3), (5, 0)].map(|(from, to): (usize, usize)| {
            let mut client = stack.client();
            let request = add_relation(&firms[from], SubsidiaryOf, &firms[to]);
            async move { client.add_relation(request).await }
        });
        let answers = join_all(calls).await;
        let refused = answers.iter().filter(|answer| answer.is_err()).count();
        assert_eq!(refused, 1, "round {round}: {answers:?}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_twice_relates_once() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let firm = register(&mut client, business("Yılmaz A.Ş.")).await;
    let ayse = register(&mut client, registration()).await;
    let request = pb::AddRelationRequest {
        request_id: "hired-1".to_owned(),
        ..add_relation(&ayse, EmployeeOf, &firm)
    };
    let first = client.add_relation(request.clone()).await.unwrap();
    let written = stack.written().await;
    let again = client.add_relation(request).await.unwrap();
    assert_eq!(again.into_inner(), first.into_inner());
    assert_eq!(stack.written().await, written);
    stack.stop().await;
}
