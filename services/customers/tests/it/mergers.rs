//! Mergers: one customer under several ids, and each by itself again.

use contracts::customers::v1 as pb;
use futures::future::join_all;
use prost_types::FieldMask;
use service::clock;
use testing::{
    eventually,
    refusal::{malformed, refused},
    stack::SOON,
};
use time::Duration;
use tonic::Code;
use uuid::Uuid;

use crate::{
    requests::{
        add_relation, addition, assign_owner, ayse, business, by_name, change_stage, consent,
        duplicates_of, email, employee, end_relation, erase, get, lift, list_changes, merge,
        moment, phone, preview, receipt, register, registration, removal, restrict, unmerge,
        update, walk, withdrawal,
    },
    stack::{Client, Stack},
};

/// Somebody known for a week, with an address.
async fn person(client: &mut Client, given: &str, address: &str) -> String {
    let request = pb::RegisterCustomerRequest {
        profile: Some(pb::Profile {
            given_name: given.to_owned(),
            ..ayse()
        }),
        identifiers: vec![email(address)],
        registered_time: moment(clock::now() - Duration::days(7)),
        ..registration()
    };
    register(client, request).await
}

async fn merged(client: &mut Client, survivor: &str, duplicate: &str) -> String {
    let answer = client.merge_customers(merge(survivor, duplicate)).await;
    answer.unwrap().into_inner().consistency_token
}

async fn unmerged(client: &mut Client, id: &str) -> String {
    let answer = client.unmerge_customer(unmerge(id)).await;
    answer.unwrap().into_inner().consistency_token
}

async fn owner(client: &mut Client, address: &str) -> Option<String> {
    let request = pb::ResolveIdentifierRequest {
        identifier: Some(email(address)),
        as_of: None,
    };
    match client.resolve_identifier(request).await {
        Ok(answer) => Some(answer.into_inner().customer_id),
        Err(status) if status.code() == Code::NotFound => None,
        Err(status) => panic!("{status}"),
    }
}

fn values(customer: &pb::Customer) -> Vec<&str> {
    let identifiers = customer.identifiers.iter();
    identifiers
        .map(|identifier| identifier.value.as_str())
        .collect()
}

fn given_name(customer: &pb::Customer) -> &str {
    &customer.profile.as_ref().unwrap().given_name
}

fn granted(customer: &pb::Customer) -> bool {
    customer.consents.iter().any(|consent| consent.granted)
}

/// But for the etag, which counts, and the ids of consent events, which are new when they come to another stream.
fn without_versions(mut customer: pb::Customer) -> pb::Customer {
    customer.etag.clear();
    for consent in &mut customer.consents {
        consent.event_id.clear();
    }
    customer
}

async fn found(client: &mut Client, name: &str, token: &str) -> Vec<String> {
    let request = pb::SearchCustomersRequest {
        consistency_token: token.to_owned(),
        ..by_name(name)
    };
    let answer = client.search_customers(request).await.unwrap().into_inner();
    let found = answer.results.into_iter();
    found
        .map(|found| found.customer.unwrap().customer_id)
        .collect()
}

async fn listed(client: &mut Client, token: &str) -> Vec<String> {
    let request = pb::ListCustomersRequest {
        consistency_token: token.to_owned(),
        ..pb::ListCustomersRequest::default()
    };
    let answer = client.list_customers(request).await.unwrap().into_inner();
    let customers = answer.customers.into_iter();
    customers.map(|customer| customer.customer_id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ids_lead_to_the_one_who_goes_on_as_it_was_previewed() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = person(&mut client, "Ayşe", "a@example.com").await;
    let duplicate = person(&mut client, "Ayşegül", "b@example.com").await;
    let yesterday = clock::now() - Duration::days(1);
    for (of, at) in [
        (&id, yesterday - Duration::days(1)),
        (&duplicate, yesterday),
    ] {
        client.record_consent(consent(of, at)).await.unwrap();
    }
    let withdraw = withdrawal(&duplicate, yesterday + Duration::hours(1));
    client.withdraw_consent(withdraw).await.unwrap();
    let request = pb::PreviewMergeRequest {
        duplicate_fields: Some(FieldMask {
            paths: vec!["given_name".to_owned()],
        }),
        ..preview(&id, &duplicate)
    };
    let before = stack.written().await;
    let answer = client.preview_merge(request.clone()).await.unwrap();
    let previewed = answer.into_inner();
    assert_eq!(stack.written().await, before, "a preview writes nothing");
    let expected = previewed.customer.unwrap();
    assert_eq!(given_name(&expected), "Ayşegül");
    assert_eq!(values(&expected), ["a@example.com", "b@example.com"]);
    assert!(!granted(&expected), "who withdrew last counts");
    assert_eq!(
        expected.absorbed_customer_ids,
        std::slice::from_ref(&duplicate)
    );

    let request = pb::MergeCustomersRequest {
        duplicate_fields: request.duplicate_fields,
        etag: expected.etag.clone(),
        duplicate_etag: previewed.duplicate_etag,
        ..merge(&id, &duplicate)
    };
    let answer = client.merge_customers(request).await.unwrap().into_inner();
    for by in [&id, &duplicate] {
        let shown = get(&mut client, by).await;
        assert_eq!(shown.etag, answer.etag);
        assert_eq!(
            without_versions(shown),
            without_versions(expected.clone()),
            "by {by}"
        );
    }
    for address in ["a@example.com", "b@example.com"] {
        assert_eq!(owner(&mut client, address).await, Some(id.clone()));
    }
    // As of yesterday there were two.
    let request = pb::GetCustomerRequest {
        customer_id: duplicate.clone(),
        as_of: moment(yesterday),
    };
    let past = client.get_customer(request).await.unwrap().into_inner();
    let past = past.customer.unwrap();
    assert_eq!(past.customer_id, duplicate);
    assert!(granted(&past));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_searches_show_one_until_the_merger_is_undone() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = person(&mut client, "Ayşe", "ayse+1@example.com").await;
    let duplicate = person(&mut client, "Ayşegül", "ayse@example.com").await;
    let token = merged(&mut client, &id, &duplicate).await;
    // By whatever name it is known, it is found once.
    assert_eq!(
        found(&mut client, "ayşe", &token).await,
        std::slice::from_ref(&id)
    );
    assert_eq!(listed(&mut client, &token).await, std::slice::from_ref(&id));
    let request = duplicates_of(&duplicate);
    let answer = client.list_duplicate_candidates(request).await.unwrap();
    assert_eq!(answer.into_inner().candidates, []);

    let token = unmerged(&mut client, &duplicate).await;
    assert_eq!(
        found(&mut client, "ayşegül", &token).await,
        std::slice::from_ref(&duplicate)
    );
    assert_eq!(listed(&mut client, &token).await.len(), 2);
    let request = duplicates_of(&id);
    let answer = client.list_duplicate_candidates(request).await.unwrap();
    let candidates = answer.into_inner().candidates;
    assert_eq!(candidates.len(), 1, "by the address and by the name");
    assert_eq!(candidates[0].reasons[0].field, "identifiers");

    let tables = [
        "customer_list",
        "customer_name",
        "name_segment",
        "customer_block",
    ];
    let before = stack.dump(&tables).await;
    let stack = stack.rebuilt(&["customers.list"], &tables).await;
    assert_eq!(stack.dump(&tables).await, before, "rebuilt from zero");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unmerged_customer_has_what_was_told_by_its_id_meanwhile() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = person(&mut client, "Ayşe", "a@example.com").await;
    let duplicate = person(&mut client, "Ayşegül", "b@example.com").await;
    merged(&mut client, &id, &duplicate).await;
    let now = clock::now();
    let named = |given: &str| pb::Profile {
        given_name: given.to_owned(),
        ..ayse()
    };
    // By the old id.
    let renamed = update(&duplicate, named("Gül"), &["given_name"]);
    client.update_profile(renamed).await.unwrap();
    let add = addition(&duplicate, phone("+905321234567"));
    let added = client.add_identifier(add).await.unwrap().into_inner();
    assert_eq!(added.identifier.unwrap().value, "+905321234567");
    client
        .record_consent(consent(&duplicate, now))
        .await
        .unwrap();
    client
        .remove_identifier(removal(&duplicate, email("b@example.com")))
        .await
        .unwrap();
    // By the other.
    let add = addition(&id, email("c@example.com"));
    client.add_identifier(add).await.unwrap();
    let moved = pb::Profile {
        country_code: "DE".to_owned(),
        ..ayse()
    };
    let moved = update(&id, moved, &["country_code"]);
    client.update_profile(moved).await.unwrap();
    let both = get(&mut client, &id).await;
    assert_eq!(given_name(&both), "Gül");
    assert_eq!(
        values(&both),
        ["a@example.com", "+905321234567", "c@example.com"]
    );
    assert!(granted(&both));
    assert_eq!(owner(&mut client, "b@example.com").await, None);

    let answer = client.unmerge_customer(unmerge(&duplicate)).await.unwrap();
    let answer = answer.into_inner();
    assert_eq!(answer.surviving_customer_id, id);
    let one = get(&mut client, &id).await;
    assert_eq!(given_name(&one), "Ayşe");
    assert_eq!(values(&one), ["a@example.com", "c@example.com"]);
    assert!(!granted(&one));
    assert_eq!(one.absorbed_customer_ids, Vec::<String>::new());
    let other = get(&mut client, &duplicate).await;
    assert_eq!(other.etag, answer.etag);
    assert_eq!(given_name(&other), "Gül");
    assert_eq!(values(&other), ["+905321234567"]);
    assert!(granted(&other));
    let country = |customer: &pb::Customer| customer.profile.as_ref().unwrap().country_code.clone();
    assert_eq!([country(&one), country(&other)], ["DE", "TR"]);
    assert_eq!(owner(&mut client, "a@example.com").await, Some(id.clone()));
    // The history of each tells of it.
    let changes = client.list_changes(list_changes(&duplicate)).await.unwrap();
    let types: Vec<String> = changes
        .into_inner()
        .changes
        .into_iter()
        .map(|change| change.event_type.replace("vefa.customers.v1.", ""))
        .collect();
    let of_merger = types.iter().position(|type_| type_ == "CustomerMerged");
    assert_eq!(
        types[of_merger.unwrap()..],
        [
            "CustomerMerged",
            "CustomerUnmerged",
            "ProfileUpdated",
            "IdentifierRemoved",
            "IdentifierAdded",
            "ConsentRecorded"
        ]
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mergers_into_one_who_was_merged_are_undone_from_the_outside() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let mut ids = Vec::new();
    for name in ["Ali", "Veli", "Deli"] {
        let address = format!("{name}@example.com");
        ids.push(person(&mut client, name, &address).await);
    }
    let [a, b, c] = &ids[..] else {
        unreachable!("three were registered")
    };
    merged(&mut client, b, c).await;
    merged(&mut client, a, b).await;
    for id in &ids {
        let shown = get(&mut client, id).await;
        assert_eq!(&shown.customer_id, a);
        assert_eq!(shown.identifiers.len(), 3);
    }
    let inner = client.unmerge_customer(unmerge(c));
    refused(&stack, Code::FailedPrecondition, "CUSTOMER_MERGED", inner).await;
    let again = client.merge_customers(merge(a, c));
    refused(
        &stack,
        Code::FailedPrecondition,
        "MERGED_INTO_ITSELF",
        again,
    )
    .await;
    // By the innermost id, which stays with the one in the middle for now.
    let add = addition(c, phone("+905321234567"));
    client.add_identifier(add).await.unwrap();
    unmerged(&mut client, b).await;
    assert_eq!(get(&mut client, c).await.customer_id, *b);
    assert_eq!(get(&mut client, b).await.identifiers.len(), 3);
    assert_eq!(get(&mut client, a).await.identifiers.len(), 1);
    unmerged(&mut client, c).await;
    let shown = get(&mut client, c).await;
    assert_eq!(values(&shown), ["deli@example.com", "+905321234567"]);
    assert_eq!(values(&get(&mut client, b).await), ["veli@example.com"]);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_what_cannot_be_one() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    let other = register(&mut client, registration()).await;
    let firm = register(&mut client, business("Yılmaz A.Ş.")).await;
    let birgul = register(&mut client, employee()).await;
    let unknown = Uuid::from_u128(404).to_string();
    for (duplicate, reason) in [
        (&id, "MERGED_INTO_ITSELF"),
        (&firm, "KINDS_DIFFER"),
        (&birgul, "AFFILIATIONS_DIFFER"),
    ] {
        let call = client.merge_customers(merge(&id, duplicate));
        refused(&stack, Code::FailedPrecondition, reason, call).await;
        let call = client.preview_merge(preview(&id, duplicate));
        refused(&stack, Code::FailedPrecondition, reason, call).await;
    }
    let call = client.merge_customers(merge(&id, &unknown));
    refused(&stack, Code::NotFound, "NOT_FOUND", call).await;
    let claims = pb::RestrictionReason::LegalClaims;
    for restricted in [&id, &other] {
        let restrict = restrict(restricted, claims);
        client.restrict_processing(restrict).await.unwrap();
        let call = client.merge_customers(merge(&id, &other));
        let reason = "PROCESSING_RESTRICTED";
        refused(&stack, Code::FailedPrecondition, reason, call).await;
        client.lift_restriction(lift(restricted)).await.unwrap();
    }
    let stale = |etag: &str, duplicate_etag: &str| pb::MergeCustomersRequest {
        etag: etag.to_owned(),
        duplicate_etag: duplicate_etag.to_owned(),
        ..merge(&id, &other)
    };
    for request in [stale("1", ""), stale("", "1")] {
        let call = client.merge_customers(request);
        refused(&stack, Code::Aborted, "VERSION_MISMATCH", call).await;
    }
    let malformed_merge = pb::MergeCustomersRequest {
        customer_id: "x".to_owned(),
        duplicate_customer_id: Uuid::nil().to_string(),
        duplicate_fields: Some(FieldMask {
            paths: vec!["locale".to_owned(), "shoe_size".to_owned()],
        }),
        etag: "x".to_owned(),
        duplicate_etag: "-1".to_owned(),
        ..pb::MergeCustomersRequest::default()
    };
    let fields = [
        "customer_id",
        "duplicate_customer_id",
        "duplicate_fields.paths[1]",
        "etag",
        "duplicate_etag",
    ];
    malformed(&stack, &fields, client.merge_customers(malformed_merge)).await;
    let fields = ["customer_id", "duplicate_customer_id"];
    malformed(&stack, &fields, client.preview_merge(preview("x", "y"))).await;
    malformed(
        &stack,
        &["customer_id"],
        client.unmerge_customer(unmerge("x")),
    )
    .await;
    let call = client.unmerge_customer(unmerge(&id));
    refused(&stack, Code::FailedPrecondition, "NOT_MERGED", call).await;
    let nothing = pb::RemoveIdentifierRequest {
        identifier: None,
        ..removal("x", email(""))
    };
    let fields = ["customer_id", "identifier"];
    malformed(&stack, &fields, client.remove_identifier(nothing)).await;
    let call = client.remove_identifier(removal(&id, email("a@example.com")));
    refused(&stack, Code::NotFound, "NOT_FOUND", call).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identifier_that_was_removed_is_anybody_s() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = person(&mut client, "Ayşe", "a@example.com").await;
    let other = register(&mut client, registration()).await;
    let taken = client.add_identifier(addition(&other, email("a@example.com")));
    refused(&stack, Code::AlreadyExists, "IDENTIFIER_TAKEN", taken).await;
    let not_theirs = client.remove_identifier(removal(&other, email("a@example.com")));
    refused(&stack, Code::NotFound, "NOT_FOUND", not_theirs).await;
    client
        .remove_identifier(removal(&id, email("A@Example.com")))
        .await
        .unwrap();
    assert_eq!(get(&mut client, &id).await.identifiers, []);
    client
        .add_identifier(addition(&other, email("a@example.com")))
        .await
        .unwrap();
    assert_eq!(owner(&mut client, "a@example.com").await, Some(other));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_merged_is_erased_with_who_goes_on() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = person(&mut client, "Ayşe", "a@example.com").await;
    let duplicate = person(&mut client, "Ayşegül", "b@example.com").await;
    merged(&mut client, &id, &duplicate).await;
    // By either id it is the same person.
    client.erase_customer(erase(&duplicate)).await.unwrap();
    for id in [&id, &duplicate] {
        client
            .get_erasure_receipt(receipt(id))
            .await
            .unwrap_or_else(|status| panic!("{id}: {status}"));
        let shown = get(&mut client, id).await;
        assert_eq!(shown.profile.unwrap().given_name, "");
    }
    for address in ["a@example.com", "b@example.com"] {
        assert_eq!(owner(&mut client, address).await, None);
    }
    let keys: i64 = sqlx::query_scalar(
        "select count(*) from subject_key where subject = any($1) and wrapped_key is not null",
    )
    .bind([&id, &duplicate].map(|id| Uuid::parse_str(id).unwrap()))
    .fetch_one(&stack.pool)
    .await
    .unwrap();
    assert_eq!(keys, 0);
    let call = client.unmerge_customer(unmerge(&duplicate));
    refused(&stack, Code::FailedPrecondition, "CUSTOMER_ERASED", call).await;
    stack.stop().await;
}

async fn firms(client: &mut Client, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        ids.push(register(client, business(&format!("Firma {number}"))).await);
    }
    ids
}

async fn belongs(client: &mut Client, to: &str, from: &str) -> String {
    let request = add_relation(from, pb::RelationType::SubsidiaryOf, to);
    let answer = client.add_relation(request).await.unwrap();
    answer.into_inner().relation_id
}

async fn tree(client: &mut Client, from: &str) -> Vec<(String, String)> {
    let request = walk(from, pb::RelationType::SubsidiaryOf);
    let answer = client.walk_relations(request).await.unwrap().into_inner();
    let relations = answer.relations.into_iter();
    let mut pairs: Vec<_> = relations
        .map(|relation| (relation.customer_id, relation.related_customer_id))
        .collect();
    pairs.sort();
    pairs
}

#[tokio::test(flavor = "multi_thread")]
async fn hierarchies_go_through_whoever_goes_on_and_never_in_a_circle() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let firms = firms(&mut client, 6).await;
    let [top, middle, twin, low, lower, other] = &firms[..] else {
        unreachable!("six were registered")
    };
    // middle below top; low and lower below the twin of middle.
    belongs(&mut client, top, middle).await;
    let ends = belongs(&mut client, twin, low).await;
    belongs(&mut client, twin, lower).await;
    let before = [tree(&mut client, low).await, tree(&mut client, top).await];
    assert_eq!([before[0].len(), before[1].len()], [2, 1]);
    // Who stands above the other, at once or through others, is not the same.
    for (survivor, duplicate) in [(top, middle), (middle, top)] {
        let call = client.merge_customers(merge(survivor, duplicate));
        refused(&stack, Code::FailedPrecondition, "RELATION_CYCLE", call).await;
    }
    merged(&mut client, middle, twin).await;
    for from in [top, low, twin] {
        assert_eq!(tree(&mut client, from).await.len(), 3, "from {from}");
    }
    for (survivor, duplicate) in [(top, low), (low, top)] {
        let call = client.merge_customers(merge(survivor, duplicate));
        refused(&stack, Code::FailedPrecondition, "RELATION_CYCLE", call).await;
    }
    // By the old id: top stands above low through it.
    let circle = client.add_relation(add_relation(top, pb::RelationType::SubsidiaryOf, low));
    refused(&stack, Code::FailedPrecondition, "RELATION_CYCLE", circle).await;
    let circle = client.add_relation(add_relation(top, pb::RelationType::SubsidiaryOf, twin));
    refused(&stack, Code::FailedPrecondition, "RELATION_CYCLE", circle).await;
    // One parent at a time, whoever brings the second.
    let call = client.add_relation(add_relation(twin, pb::RelationType::SubsidiaryOf, other));
    refused(&stack, Code::FailedPrecondition, "PARENT_EXISTS", call).await;
    // Ended meanwhile, by the one who was not merged, it is over for both.
    client.end_relation(end_relation(low, &ends)).await.unwrap();
    unmerged(&mut client, twin).await;
    assert_eq!(tree(&mut client, top).await.len(), 1);
    assert_eq!(tree(&mut client, lower).await.len(), 1);
    assert_eq!(tree(&mut client, low).await.len(), 0);
    stack.stop().await;
}

/// Each of two mergers is harmless; the two together would close a circle.
#[tokio::test(flavor = "multi_thread")]
async fn mergers_at_the_same_time_close_no_circle() {
    let stack = Stack::start().await;
    let client = stack.client();
    for _ in 0..8 {
        let mut setup = client.clone();
        let firms = firms(&mut setup, 4).await;
        let [a, b, c, d] = &firms[..] else {
            unreachable!("four were registered")
        };
        belongs(&mut setup, b, a).await;
        belongs(&mut setup, d, c).await;
        let merges = [(b, c), (a, d)].map(|(survivor, duplicate)| {
            let mut client = client.clone();
            async move { client.merge_customers(merge(survivor, duplicate)).await }
        });
        let outcomes = join_all(merges).await;
        let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(done, 1, "{outcomes:?}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_same_time_an_identifier_has_one_owner_and_nothing_acknowledged_is_lost() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = person(&mut client, "Ayşe", "a@example.com").await;
    let duplicate = person(&mut client, "Ayşegül", "b@example.com").await;
    let adds = (0..16).map(|number| {
        let mut client = client.clone();
        let of = if number % 2 == 0 { &id } else { &duplicate };
        let request = addition(of, email(&format!("n{number}@example.com")));
        async move { client.add_identifier(request).await.map(drop) }
    });
    let turns = async {
        let mut client = client.clone();
        for _ in 0..3 {
            merged(&mut client, &id, &duplicate).await;
            unmerged(&mut client, &duplicate).await;
        }
    };
    let (added, ()) = tokio::join!(join_all(adds), turns);
    for outcome in added {
        outcome.unwrap();
    }
    // Each has what was told by its id, whether the two were one at that moment or not.
    for (of, odd) in [(&id, 0), (&duplicate, 1)] {
        let shown = get(&mut client, of).await;
        assert_eq!(shown.identifiers.len(), 1 + 8, "{of}");
        for number in (0..16).filter(|number| number % 2 == odd) {
            let address = format!("n{number}@example.com");
            assert_eq!(owner(&mut client, &address).await.as_ref(), Some(of));
        }
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merger_is_answered_again_as_the_first_time() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    let duplicate = register(&mut client, registration()).await;
    let request = pb::MergeCustomersRequest {
        request_id: "m".to_owned(),
        ..merge(&id, &duplicate)
    };
    let checked = pb::MergeCustomersRequest {
        validate_only: true,
        ..request.clone()
    };
    let before = stack.written().await;
    let would = client.merge_customers(checked).await.unwrap().into_inner();
    assert_eq!(stack.written().await, before);
    let first = client.merge_customers(request.clone()).await.unwrap();
    let first = first.into_inner();
    assert_eq!(would.etag, first.etag);
    let again = client.merge_customers(request).await.unwrap();
    assert_eq!(again.into_inner().etag, first.etag);
    let request = pb::UnmergeCustomerRequest {
        request_id: "u".to_owned(),
        ..unmerge(&duplicate)
    };
    let checked = pb::UnmergeCustomerRequest {
        validate_only: true,
        ..request.clone()
    };
    let before = stack.written().await;
    client.unmerge_customer(checked).await.unwrap();
    assert_eq!(stack.written().await, before);
    let first = client.unmerge_customer(request.clone()).await.unwrap();
    let first = first.into_inner();
    let written = stack.written().await;
    let again = client.unmerge_customer(request).await.unwrap();
    let again = again.into_inner();
    assert_eq!((again.etag, again.surviving_customer_id), (first.etag, id));
    assert_eq!(stack.written().await, written);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_employee_who_was_merged_may_own_contacts_by_either_id() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let birgul = register(&mut client, employee()).await;
    let twin = register(&mut client, employee()).await;
    let id = register(&mut client, registration()).await;
    merged(&mut client, &birgul, &twin).await;
    client.assign_owner(assign_owner(&id, &twin)).await.unwrap();
    let owner = get(&mut client, &id).await.owner.unwrap();
    assert_eq!(
        get(&mut client, &owner.employee_id).await.customer_id,
        birgul
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_by_the_old_id_moves_who_goes_on_to_its_stage() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = person(&mut client, "Ayşe", "a@example.com").await;
    let duplicate = person(&mut client, "Ayşegül", "b@example.com").await;
    let day = Duration::days(1);
    crate::stages::buys_at(&stack, &duplicate, clock::now() - day * 3).await;
    let stage = async |id: &str| {
        get(&mut client.clone(), id)
            .await
            .lifecycle
            .unwrap()
            .stage()
    };
    eventually(SOON, "active", || async {
        (stage(&duplicate).await == pb::LifecycleStage::Active).then_some(())
    })
    .await;
    assert_eq!(stage(&id).await, pb::LifecycleStage::Prospect);
    merged(&mut client, &id, &duplicate).await;
    eventually(SOON, "active by what the duplicate bought", || async {
        let shown = get(&mut client.clone(), &id).await;
        (shown.lifecycle?.stage() == pb::LifecycleStage::Active).then_some(())
    })
    .await;
    let lost = change_stage(&id, pb::LifecycleStage::Lost, "price");
    client.change_lifecycle_stage(lost).await.unwrap();
    crate::stages::buys_at(&stack, &duplicate, clock::now()).await;
    eventually(SOON, "won back by a purchase under the old id", || async {
        let shown = get(&mut client.clone(), &id).await;
        (shown.lifecycle?.stage() == pb::LifecycleStage::WonBack).then_some(())
    })
    .await;
    stack.stop().await;
}
