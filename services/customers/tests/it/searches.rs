//! Searches by name and by identifier.

use contracts::customers::v1::{self as pb, search_customers_request::Query};
use testing::refusal::{malformed, refused};
use tonic::Code;

use crate::{
    requests::{
        addition, assign_team, ayse, by_name, email, external, phone, register, registration,
        update,
    },
    stack::{Client, Stack},
};

/// Registers a person; what the answer's token stands for is waited for by later searches.
async fn person(client: &mut Client, given: &str, family: &str) -> (String, String) {
    let profile = pb::Profile {
        given_name: given.to_owned(),
        family_name: family.to_owned(),
        ..ayse()
    };
    let request = pb::RegisterCustomerRequest {
        profile: Some(profile),
        ..registration()
    };
    let answer = client
        .register_customer(request)
        .await
        .unwrap()
        .into_inner();
    (answer.customer_id, answer.consistency_token)
}

/// Registers these persons, and tells the token of them all.
async fn persons(client: &mut Client, names: &[(&str, &str)]) -> String {
    let mut tokens = Vec::new();
    for (given, family) in names {
        tokens.push(person(client, given, family).await.1);
    }
    tokens.join(" ")
}

fn fuzzy(name: &str) -> pb::SearchCustomersRequest {
    pb::SearchCustomersRequest {
        name_match: pb::NameMatch::Fuzzy.into(),
        ..by_name(name)
    }
}

fn by_identifier(identifier: pb::Identifier) -> pb::SearchCustomersRequest {
    pb::SearchCustomersRequest {
        query: Some(Query::Identifier(identifier)),
        ..pb::SearchCustomersRequest::default()
    }
}

fn full_name(found: &pb::FoundCustomer) -> String {
    let customer = found.customer.as_ref().unwrap();
    let profile = customer.profile.as_ref().unwrap();
    [
        &profile.given_name,
        &profile.family_name,
        &profile.legal_name,
    ]
    .into_iter()
    .filter(|name| !name.is_empty())
    .cloned()
    .collect::<Vec<_>>()
    .join(" ")
}

async fn results(
    client: &mut Client,
    request: pb::SearchCustomersRequest,
) -> Vec<pb::FoundCustomer> {
    client
        .search_customers(request)
        .await
        .unwrap()
        .into_inner()
        .results
}

async fn names(client: &mut Client, request: pb::SearchCustomersRequest) -> Vec<String> {
    results(client, request)
        .await
        .iter()
        .map(full_name)
        .collect()
}

/// The names on all pages of two.
async fn paged(client: &mut Client, request: pb::SearchCustomersRequest) -> Vec<String> {
    let mut request = pb::SearchCustomersRequest {
        page_size: 2,
        ..request
    };
    let mut names = Vec::new();
    loop {
        let page = client
            .search_customers(request.clone())
            .await
            .unwrap()
            .into_inner();
        assert!(page.results.len() <= 2);
        names.extend(page.results.iter().map(full_name));
        if page.next_page_token.is_empty() {
            return names;
        }
        assert_eq!(page.results.len(), 2, "a page that is not the last is full");
        request.page_token = page.next_page_token;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_found_by_how_its_words_begin_in_any_casing() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let all = [
        ("Ayşe", "Yılmaz"),
        ("Ayşegül", "Işık"),
        ("IŞIL", "İnce"),
        ("Mehmet Mert", "Öztürk"),
        ("Zeynep Ayşe", "Kaya"),
    ];
    let token = persons(&mut client, &all).await;
    let waiting = pb::SearchCustomersRequest {
        consistency_token: token,
        ..by_name("ayse")
    };
    let ayses = ["Zeynep Ayşe Kaya", "Ayşe Yılmaz", "Ayşegül Işık"];
    assert_eq!(names(&mut client, waiting).await, ayses);
    for text in ["AYŞE", "ayşe", "AYSE", " Ayşe"] {
        assert_eq!(names(&mut client, by_name(text)).await, ayses, "{text}");
    }
    for (text, found) in [
        ("isi", vec!["Ayşegül Işık", "IŞIL İnce"]),
        ("IŞI", vec!["Ayşegül Işık", "IŞIL İnce"]),
        ("yil ays", vec!["Ayşe Yılmaz"]),
        ("ayşe kaya", vec!["Zeynep Ayşe Kaya"]),
        // Two words of one name begin so.
        ("me", vec!["Mehmet Mert Öztürk"]),
        ("OZTURK", vec!["Mehmet Mert Öztürk"]),
        ("yse", vec![]),
        ("ayse ince", vec![]),
    ] {
        assert_eq!(names(&mut client, by_name(text)).await, found, "{text}");
    }
    assert_eq!(paged(&mut client, by_name("ay")).await, ayses);
    let elsewhere = &mut stack.client_of("other", &["customers.read"]);
    assert_eq!(
        names(elsewhere, by_name("ayse")).await,
        Vec::<String>::new()
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_errors_are_overlooked_and_counted() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let all = [
        ("Ayşe", "Yılmaz"),
        ("Ayşe", "Yılmazer"),
        ("Aydın", "Yıldız"),
        ("Al", "Kaya"),
        ("Mehmet", "Kaya"),
        ("Memet", "Kara"),
        ("Ahmet", "Kaya"),
    ];
    let token = persons(&mut client, &all).await;
    let waiting = pb::SearchCustomersRequest {
        consistency_token: token,
        ..fuzzy("yilmza")
    };
    let found = results(&mut client, waiting).await;
    let typos: Vec<_> = found
        .iter()
        .map(|found| (full_name(found), found.typos))
        .collect();
    assert_eq!(typos, [("Ayşe Yılmaz".to_owned(), 1)]);
    for (text, found) in [
        ("Asye Yilmaz", vec!["Ayşe Yılmaz", "Ayşe Yılmazer"]),
        ("YLIMAZ", vec!["Ayşe Yılmaz"]),
        ("memet", vec!["Memet Kara", "Mehmet Kaya"]),
        ("mehmet kaya", vec!["Mehmet Kaya", "Memet Kara"]),
        // Ahmet has five letters, and so one error at most.
        ("mhemet kara", vec!["Memet Kara", "Mehmet Kaya"]),
        // A short name must be written as it is.
        ("al", vec!["Al Kaya"]),
        ("ak", vec![]),
        ("xyzzy", vec![]),
        ("ayse xyzzy", vec![]),
    ] {
        assert_eq!(names(&mut client, fuzzy(text)).await, found, "{text}");
    }
    let paged = paged(&mut client, fuzzy("mehmet kaya")).await;
    assert_eq!(paged, ["Mehmet Kaya", "Memet Kara"]);
    let elsewhere = &mut stack.client_of("other", &["customers.read"]);
    assert_eq!(
        names(elsewhere, fuzzy("yilmaz")).await,
        Vec::<String>::new()
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identifier_is_found_however_it_is_written() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let (id, _) = person(&mut client, "Ayşe", "Yılmaz").await;
    for identifier in [email("Ayse@Example.com"), phone("0532 123 45 67")] {
        client
            .add_identifier(addition(&id, identifier))
            .await
            .unwrap();
    }
    let answer = client
        .add_identifier(addition(&id, external("crm", "A-17")))
        .await
        .unwrap();
    let mut token = answer.into_inner().consistency_token;
    for asked in [
        email("AYSE@example.com"),
        phone("+90 532 123 45 67"),
        external("CRM", "A-17"),
    ] {
        let request = pb::SearchCustomersRequest {
            consistency_token: std::mem::take(&mut token),
            ..by_identifier(asked)
        };
        assert_eq!(names(&mut client, request).await, ["Ayşe Yılmaz"]);
    }
    let filtered = pb::SearchCustomersRequest {
        filter: "kind = CUSTOMER_KIND_BUSINESS".to_owned(),
        ..by_identifier(email("ayse@example.com"))
    };
    assert_eq!(names(&mut client, filtered).await, Vec::<String>::new());
    let nobodys = by_identifier(email("nobody@example.com"));
    assert_eq!(names(&mut client, nobodys).await, Vec::<String>::new());
    let elsewhere = &mut stack.client_of("other", &["customers.read"]);
    let theirs = by_identifier(email("ayse@example.com"));
    assert_eq!(names(elsewhere, theirs).await, Vec::<String>::new());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_narrows_a_search() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let (served, _) = person(&mut client, "Ayşe", "Yılmaz").await;
    let (_, other) = person(&mut client, "Ayşe", "Kaya").await;
    let answer = client
        .assign_team(assign_team(&served, "key-accounts"))
        .await
        .unwrap();
    let token = format!("{other} {}", answer.into_inner().consistency_token);
    for request in [by_name("ayse"), fuzzy("asye")] {
        for (filter, found) in [
            ("team = key-accounts", "Ayşe Yılmaz"),
            ("NOT team:*", "Ayşe Kaya"),
        ] {
            let request = pb::SearchCustomersRequest {
                filter: filter.to_owned(),
                consistency_token: token.clone(),
                ..request.clone()
            };
            assert_eq!(names(&mut client, request).await, [found], "{filter}");
        }
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_what_the_token_stands_for_and_nothing_that_is_past() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    let mut last = "Ayşe".to_owned();
    for name in ["Fatma", "Zeynep", "Elif", "Fatma"] {
        let profile = pb::Profile {
            given_name: name.to_owned(),
            ..ayse()
        };
        let answer = client
            .update_profile(update(&id, profile, &["given_name"]))
            .await
            .unwrap();
        let token = answer.into_inner().consistency_token;
        for (request, expected) in [(by_name(name), 1), (fuzzy(name), 1), (fuzzy(&last), 0)] {
            let request = pb::SearchCustomersRequest {
                consistency_token: token.clone(),
                ..request
            };
            assert_eq!(
                results(&mut client, request).await.len(),
                expected,
                "{name} after {last}"
            );
        }
        last = name.to_owned();
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_malformed_search() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let by_default = pb::SearchCustomersRequest::default;
    let with_match = |name_match: i32| pb::SearchCustomersRequest {
        name_match,
        ..by_name("ayse")
    };
    for (request, fields) in [
        (by_default(), vec!["query"]),
        (by_name(""), vec!["name"]),
        (by_name(" -'. "), vec!["name"]),
        (by_name("a b c d e f g h i"), vec!["name"]),
        (by_name(&"a".repeat(1025)), vec!["name"]),
        (with_match(3), vec!["name_match"]),
        (by_identifier(email("nowhere")), vec!["identifier.value"]),
        (
            by_identifier(phone("0532 123 45 67")),
            vec!["identifier.value"],
        ),
        (
            pb::SearchCustomersRequest {
                name_match: pb::NameMatch::Fuzzy.into(),
                ..by_identifier(email("a@example.com"))
            },
            vec!["name_match"],
        ),
        (
            pb::SearchCustomersRequest {
                filter: "team".to_owned(),
                ..by_default()
            },
            vec!["filter", "query"],
        ),
        (
            pb::SearchCustomersRequest {
                page_size: -1,
                ..by_name("ayse")
            },
            vec!["page_size"],
        ),
        (
            pb::SearchCustomersRequest {
                page_token: "x".to_owned(),
                ..by_name("ayse")
            },
            vec!["page_token"],
        ),
        (
            pb::SearchCustomersRequest {
                consistency_token: "x".to_owned(),
                ..by_name("ayse")
            },
            vec!["consistency_token"],
        ),
    ] {
        malformed(&stack, &fields, client.search_customers(request)).await;
    }
    let other_epoch = pb::SearchCustomersRequest {
        consistency_token: "customers.99.1-1".to_owned(),
        ..by_name("ayse")
    };
    let call = client.search_customers(other_epoch);
    refused(&stack, Code::FailedPrecondition, "OTHER_EPOCH", call).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_token_continues_its_own_search_only() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let all = [("Ayşe", "Yılmaz"), ("Ayşe", "Kaya"), ("Ayşe", "Kara")];
    let token = persons(&mut client, &all).await;
    for request in [by_name("ayse"), fuzzy("ayse")] {
        let first = pb::SearchCustomersRequest {
            page_size: 1,
            consistency_token: token.clone(),
            ..request
        };
        let page = client
            .search_customers(first.clone())
            .await
            .unwrap()
            .into_inner();
        let next = pb::SearchCustomersRequest {
            page_token: page.next_page_token,
            page_size: 5,
            ..first
        };
        assert_eq!(results(&mut client, next.clone()).await.len(), 2);
        // Written otherwise it is the same search.
        let same = pb::SearchCustomersRequest {
            query: Some(Query::Name(" AYŞE".to_owned())),
            ..next.clone()
        };
        assert_eq!(results(&mut client, same).await.len(), 2);
        let other_match = match next.name_match() {
            pb::NameMatch::Fuzzy => pb::NameMatch::Prefix,
            pb::NameMatch::Unspecified | pb::NameMatch::Prefix => pb::NameMatch::Fuzzy,
        };
        for other in [
            pb::SearchCustomersRequest {
                query: Some(Query::Name("ays".to_owned())),
                ..next.clone()
            },
            pb::SearchCustomersRequest {
                filter: "NOT team:*".to_owned(),
                ..next.clone()
            },
            pb::SearchCustomersRequest {
                name_match: other_match.into(),
                ..next.clone()
            },
        ] {
            malformed(&stack, &["page_token"], client.search_customers(other)).await;
        }
        let mut elsewhere = stack.client_of("other", &["customers.read"]);
        malformed(&stack, &["page_token"], elsewhere.search_customers(next)).await;
    }
    stack.stop().await;
}
