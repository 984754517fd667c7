//! A service without one of its guards: ledger or verdict has to find it.

use super::play::{Play, is_yes};
use crate::demo::service::Service;
use crate::torture::ledger::Logged;
use crate::torture::{requests, verdict};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guard_that_is_left_out_is_found() -> anyhow::Result<()> {
    let mut play = Play::start("broken").await?;
    play.check("before anything is broken").await?;
    without_a_record(&mut play).await?;
    with_another_response(&mut play).await?;
    by_half(&mut play).await?;
    checkpoint_ahead_of_its_rows(&mut play).await
}

/// What the ledger of the last commands finds; it is begun anew then.
async fn found(play: &mut Play) -> anyhow::Result<Vec<String>> {
    let logged = Logged::read(&play.ground.stack.databases).await?;
    let ledger = std::mem::take(&mut play.ledger);
    let found = ledger.check(&logged).into_iter();
    // Of what stood in earlier ledgers.
    let of_others = |finding: &String| finding.ends_with("nobody sent it");
    Ok(found.filter(|finding| !of_others(finding)).collect())
}

async fn without_a_record(play: &mut Play) -> anyhow::Result<()> {
    let settings = [("FAILPOINTS", "broken-record=return")];
    play.restart_with(Service::Customers, &settings).await?;
    let customer = play.customer().await?;
    let n = play.next();
    // Changed, changed again by somebody else, and sent once more: nothing but the record knows that this is a repeat.
    let change = requests::update(n, "profile", customer.clone());
    let (mark, answer) = play.send(change.clone()).await;
    assert!(is_yes(&answer), "{answer:?}");
    let (_, answer) = play.send(requests::update(n + 1, "other", customer)).await;
    assert!(is_yes(&answer), "{answer:?}");
    play.repeat(&mark, change).await;
    let found = found(play).await?;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("at first, and"), "{found:?}");
    assert!(
        found[1].contains(r#"the log has ["ProfileUpdated", "ProfileUpdated"]"#),
        "{found:?}"
    );
    Ok(())
}

async fn with_another_response(play: &mut Play) -> anyhow::Result<()> {
    let settings = [("FAILPOINTS", "broken-response=return")];
    play.restart_with(Service::Customers, &settings).await?;
    let registration = play.registration();
    let (mark, answer) = play.send(registration.clone()).await;
    assert!(is_yes(&answer), "{answer:?}");
    let answer = play.repeat(&mark, registration).await;
    assert!(is_yes(&answer), "{answer:?}");
    let found = found(play).await?;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("at first, and"), "{found:?}");
    Ok(())
}

async fn by_half(play: &mut Play) -> anyhow::Result<()> {
    let settings = [("FAILPOINTS", "broken-whole=return")];
    play.restart_with(Service::Customers, &settings).await?;
    let registration = play.registration();
    let (_, answer) = play.send(registration).await;
    assert!(is_yes(&answer), "{answer:?}");
    let found = found(play).await?;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains(r#"the log has ["CustomerRegistered", "IdentifierAdded"]"#),
        "{found:?}"
    );
    Ok(())
}

async fn checkpoint_ahead_of_its_rows(play: &mut Play) -> anyhow::Result<()> {
    play.restart_with(Service::Customers, &[]).await?;
    play.wait_until_read().await?;
    let settings = [(
        "FAILPOINTS",
        "broken-checkpoint=return;projection-before-commit=return",
    )];
    play.restart_with(Service::Customers, &settings).await?;
    let registration = play.registration();
    let (mark, _) = play.send(registration.clone()).await;
    play.wait_dead(Service::Customers)?;
    play.restart_with(Service::Customers, &[]).await?;
    play.repeat(&mark, registration).await;
    play.wait_until_read().await?;
    let found = verdict::read_models(&play.ground).await?;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("rows in customer_list"), "{found:?}");
    assert!(found[1].contains("customers are listed"), "{found:?}");
    Ok(())
}
