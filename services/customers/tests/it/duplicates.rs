//! Candidates for duplicates.

use contracts::customers::v1 as pb;
use testing::refusal::{malformed, refused};
use tonic::Code;
use uuid::Uuid;

use crate::{
    requests::{addition, ayse, duplicates_of, email, external, phone, registration, update},
    stack::{Client, Stack},
};

async fn person(
    client: &mut Client,
    given: &str,
    family: &str,
    identifiers: &[pb::Identifier],
) -> (String, String) {
    let profile = pb::Profile {
        given_name: given.to_owned(),
        family_name: family.to_owned(),
        ..ayse()
    };
    let request = pb::RegisterCustomerRequest {
        profile: Some(profile),
        identifiers: identifiers.to_vec(),
        ..registration()
    };
    let answer = client
        .register_customer(request)
        .await
        .unwrap()
        .into_inner();
    (answer.customer_id, answer.consistency_token)
}

async fn candidates(client: &mut Client, id: &str, token: &str) -> Vec<pb::DuplicateCandidate> {
    let request = pb::ListDuplicateCandidatesRequest {
        consistency_token: token.to_owned(),
        ..duplicates_of(id)
    };
    let answer = client.list_duplicate_candidates(request).await.unwrap();
    answer.into_inner().candidates
}

fn id_of(candidate: &pb::DuplicateCandidate) -> &str {
    &candidate.customer.as_ref().unwrap().customer_id
}

fn agreement(candidate: &pb::DuplicateCandidate, field: &str) -> Option<pb::Agreement> {
    let reason = candidate
        .reasons
        .iter()
        .find(|reason| reason.field == field)?;
    Some(reason.agreement())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_be_the_same_is_told_with_the_reasons() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let mut tokens = Vec::new();
    let mut add = async |given: &str, family: &str, identifiers: &[pb::Identifier]| {
        let (id, token) = person(&mut client, given, family, identifiers).await;
        tokens.push(token);
        id
    };
    let id = add(
        "Mehmet",
        "Yılmaz",
        &[phone("+905321234567"), email("mehmet+shop@example.com")],
    )
    .await;
    let same = add("MEHMET", "YILMAZ", &[]).await;
    let near = add("Mehmet", "Yılmza", &[]).await;
    let sounds = add("Memmed", "Yılmaz", &[]).await;
    let exchanged = add("Yılmaz", "Mehmet", &[]).await;
    let same_phone = add("Memo", "Yılmazoğlu", &[external("crm", "0532 123 45 67")]).await;
    let same_mail = add("Mehmet Ali", "Yılmaz", &[email("Mehmet@example.com")]).await;
    let father = add("Ali", "Yılmaz", &[]).await;
    let stranger = add("Fatma", "Kaya", &[phone("+905321234568")]).await;
    let tokens = tokens.join(" ");

    let found = candidates(&mut client, &id, &tokens).await;
    let ids: Vec<&str> = found.iter().map(id_of).collect();
    let of = |id: &str| found.iter().find(|candidate| id_of(candidate) == id);
    assert!(
        found.is_sorted_by(|one, two| one.score >= two.score),
        "{found:#?}"
    );
    for expected in [&same, &near, &exchanged, &same_mail] {
        assert!(
            of(expected).is_some_and(|found| found.score > 0.5),
            "{expected}: {found:#?}"
        );
    }
    assert_eq!(ids[0], same_mail, "{found:#?}");
    for stranger in [&id, &father, &stranger] {
        assert!(of(stranger).is_none(), "{stranger}: {found:#?}");
    }
    let told = |id: &str, field: &str| agreement(of(id).unwrap(), field);
    let (given, family) = ("profile.given_name", "profile.family_name");
    assert_eq!(told(&same, given), Some(pb::Agreement::Same));
    assert_eq!(told(&near, family), Some(pb::Agreement::Similar));
    assert_eq!(told(&sounds, given), Some(pb::Agreement::SoundsAlike));
    assert_eq!(told(&exchanged, family), Some(pb::Agreement::Same));
    assert_eq!(told(&same_phone, "identifiers"), Some(pb::Agreement::Same));
    assert_eq!(told(&same_phone, given), Some(pb::Agreement::Different));
    assert_eq!(told(&same_mail, "identifiers"), Some(pb::Agreement::Same));
    assert_eq!(told(&same, "identifiers"), None);
    assert_eq!(
        told(&same, "profile.country_code"),
        Some(pb::Agreement::Same)
    );
    for candidate in &found {
        let bits: f64 = candidate
            .reasons
            .iter()
            .map(|reason| reason.weight_bits)
            .sum();
        let score = 1.0 / (1.0 + (10.0 - bits).exp2());
        assert!((score - candidate.score).abs() < 1e-9, "{candidate:?}");
        assert!(
            candidate
                .reasons
                .is_sorted_by(|one, two| one.weight_bits >= two.weight_bits)
        );
    }
    // It goes both ways.
    let back = candidates(&mut client, &same_mail, "").await;
    assert!(
        back.iter().any(|candidate| id_of(candidate) == id),
        "{back:#?}"
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn businesses_are_compared_by_their_registered_names() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let mut tokens = Vec::new();
    let mut ids = Vec::new();
    for name in [
        "Öz Yılmaz Gıda A.Ş.",
        "OZ YILMAZ GIDA AS",
        "Öz Demir İnşaat Ltd.",
    ] {
        let request = pb::RegisterCustomerRequest {
            kind: pb::CustomerKind::Business.into(),
            profile: Some(pb::Profile {
                legal_name: name.to_owned(),
                ..pb::Profile::default()
            }),
            ..registration()
        };
        let answer = client
            .register_customer(request)
            .await
            .unwrap()
            .into_inner();
        ids.push(answer.customer_id);
        tokens.push(answer.consistency_token);
    }
    let found = candidates(&mut client, &ids[0], &tokens.join(" ")).await;
    assert_eq!(found.iter().map(id_of).collect::<Vec<_>>(), [&ids[1]]);
    assert_eq!(
        agreement(&found[0], "profile.legal_name"),
        Some(pb::Agreement::Similar)
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn candidates_follow_a_change_at_once() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let (id, _) = person(&mut client, "Ayşe", "Yılmaz", &[]).await;
    let (other, token) = person(&mut client, "Zeynep", "Demirci", &[email("z@example.com")]).await;
    assert_eq!(candidates(&mut client, &id, &token).await, []);
    let renamed = client
        .update_profile(update(&other, ayse(), &["given_name", "family_name"]))
        .await
        .unwrap();
    let token = renamed.into_inner().consistency_token;
    let found = candidates(&mut client, &id, &token).await;
    assert_eq!(found.iter().map(id_of).collect::<Vec<_>>(), [&other]);
    let before = found[0].score;
    let added = client
        .add_identifier(addition(&id, email("z+1@example.com")))
        .await
        .unwrap();
    let token = added.into_inner().consistency_token;
    let found = candidates(&mut client, &id, &token).await;
    assert!(found[0].score > before, "{found:#?}");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn candidates_come_in_pages_of_their_own() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let mut tokens = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..6 {
        let (id, token) = person(&mut client, "Ayşe", "Yılmaz", &[]).await;
        ids.push(id);
        tokens.push(token);
    }
    let all = candidates(&mut client, &ids[0], &tokens.join(" ")).await;
    let mut request = pb::ListDuplicateCandidatesRequest {
        page_size: 2,
        ..duplicates_of(&ids[0])
    };
    let mut paged = Vec::new();
    let mut first_token = None;
    loop {
        let page = client
            .list_duplicate_candidates(request.clone())
            .await
            .unwrap()
            .into_inner();
        paged.extend(page.candidates);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
        first_token.get_or_insert_with(|| request.page_token.clone());
    }
    assert_eq!(paged.len(), 5);
    assert_eq!(paged, all);
    let of_another = pb::ListDuplicateCandidatesRequest {
        page_token: first_token.unwrap(),
        ..duplicates_of(&ids[1])
    };
    malformed(
        &stack,
        &["page_token"],
        client.list_duplicate_candidates(of_another),
    )
    .await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_candidates_of_nobody() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let (id, _) = person(&mut client, "Ayşe", "Yılmaz", &[]).await;
    for unknown in [Uuid::from_u128(9).to_string(), Uuid::new_v4().to_string()] {
        let call = client.list_duplicate_candidates(duplicates_of(&unknown));
        refused(&stack, Code::NotFound, "NOT_FOUND", call).await;
    }
    let mut elsewhere = stack.client_of("other", &["customers.read"]);
    let call = elsewhere.list_duplicate_candidates(duplicates_of(&id));
    refused(&stack, Code::NotFound, "NOT_FOUND", call).await;
    for (request, field) in [
        (duplicates_of("x"), "customer_id"),
        (duplicates_of(&Uuid::nil().to_string()), "customer_id"),
        (
            pb::ListDuplicateCandidatesRequest {
                page_size: -1,
                ..duplicates_of(&id)
            },
            "page_size",
        ),
        (
            pb::ListDuplicateCandidatesRequest {
                page_token: "x".to_owned(),
                ..duplicates_of(&id)
            },
            "page_token",
        ),
        (
            pb::ListDuplicateCandidatesRequest {
                consistency_token: "x".to_owned(),
                ..duplicates_of(&id)
            },
            "consistency_token",
        ),
    ] {
        malformed(&stack, &[field], client.list_duplicate_candidates(request)).await;
    }
    stack.stop().await;
}
