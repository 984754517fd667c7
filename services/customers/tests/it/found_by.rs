//! The rows by which customers are found: they follow from the log alone, and go with whom they are about.

use contracts::customers::v1 as pb;
use uuid::Uuid;

use crate::{
    requests::{addition, ayse, email, erase, external, phone, register, registration, update},
    stack::Stack,
};

const PROJECTION: &str = "customers.list";
const TABLES: [&str; 4] = [
    "customer_list",
    "customer_name",
    "name_segment",
    "customer_block",
];

/// Customers with names and identifiers that change, some of them back to what they were.
async fn populate(stack: &Stack) -> Vec<String> {
    let mut client = stack.client();
    let mut ids = Vec::new();
    for number in 0..30 {
        let id = register(&mut client, registration()).await;
        for family in ["Işık Öztürk".to_owned(), format!("Yılmaz {}", number % 7)] {
            let profile = pb::Profile {
                family_name: family,
                ..ayse()
            };
            client
                .update_profile(update(&id, profile, &["family_name"]))
                .await
                .unwrap();
        }
        for identifier in [
            email(&format!("c{number}@example.com")),
            phone(&format!("+90532123{:04}", number)),
            external("crm", &format!("0532123{:04}", (number + 1) % 30)),
        ] {
            client
                .add_identifier(addition(&id, identifier))
                .await
                .unwrap();
        }
        if number % 3 == 0 {
            client
                .update_profile(update(&id, ayse(), &["family_name"]))
                .await
                .unwrap();
        }
        if number % 10 == 9 {
            client.erase_customer(erase(&id)).await.unwrap();
        }
        ids.push(id);
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn rebuilt_from_zero_or_applied_twice_the_rows_are_the_same() {
    let stack = Stack::start().await;
    populate(&stack).await;
    stack.applied(PROJECTION, stack.events().await).await;
    let before = stack.dump(&TABLES).await;
    assert!(before.iter().all(|rows| rows.len() >= 30), "{before:#?}");
    let erased = before[0].iter().filter(|row| !row.contains("Yılmaz"));
    assert_eq!(erased.count(), 3);
    // What nobody is called any more is not kept.
    assert!(
        !before[2].iter().any(|row| row.contains("ozturk")),
        "{:#?}",
        before[2]
    );

    let stack = stack.rebuilt(&[PROJECTION], &TABLES).await;
    assert_eq!(stack.dump(&TABLES).await, before, "rebuilt from zero");
    // As it is when rows of the list are there from before there was a search.
    let stack = stack.rebuilt(&[PROJECTION], &TABLES[1..]).await;
    assert_eq!(stack.dump(&TABLES).await, before, "rebuilt beside the list");
    let stack = stack.rebuilt(&[PROJECTION], &[]).await;
    assert_eq!(stack.dump(&TABLES).await, before, "applied twice");
    stack
        .remade(customers::projections, &[&stack.interactions])
        .await;
    assert_eq!(
        stack.dump(&TABLES).await,
        before,
        "made anew beside the live one"
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_found_who_was_erased() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let secret = pb::Profile {
        given_name: "Şeyma".to_owned(),
        family_name: "Yılmaz".to_owned(),
        ..ayse()
    };
    let gone = register(
        &mut client,
        pb::RegisterCustomerRequest {
            profile: Some(secret),
            identifiers: vec![email("seyma@example.com")],
            ..registration()
        },
    )
    .await;
    // Of the same partition, so that the words that they share must stay.
    let tenant = aggregate::TenantId::parse(testing::stack::TENANT).unwrap();
    let partition =
        |id: Uuid| aggregate::Partition::of_customer(&tenant, aggregate::CustomerId(id));
    let of_gone = partition(Uuid::parse_str(&gone).unwrap());
    let beside = (1..)
        .map(Uuid::from_u128)
        .find(|id| partition(*id) == of_gone)
        .unwrap();
    register(
        &mut client,
        pb::RegisterCustomerRequest {
            customer_id: beside.to_string(),
            ..registration()
        },
    )
    .await;
    stack.applied(PROJECTION, stack.events().await).await;
    let words = stack.rows("name_segment").await.join("\n");
    assert!(
        words.contains("seyma") && words.contains("yilmaz"),
        "{words}"
    );

    client.erase_customer(erase(&gone)).await.unwrap();
    stack.applied(PROJECTION, stack.events().await).await;
    for table in ["customer_name", "customer_block"] {
        let rows = stack.rows(table).await.join("\n");
        assert!(!rows.contains(&gone), "{table}: {rows}");
        assert!(rows.contains(&beside.to_string()), "{table}: {rows}");
    }
    let words = stack.rows("name_segment").await.join("\n");
    assert!(
        !words.contains("seyma") && words.contains("yilmaz"),
        "{words}"
    );
    stack.stop().await;
}
