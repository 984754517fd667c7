//! Whether every message of a stream is the event of its log.

use event_bus::compare_whole;
use event_log::Check;

use crate::ground::Ground;

async fn compared(ground: &Ground) -> Check {
    let mut connection = ground.log.pool().acquire().await.unwrap();
    compare_whole(&ground.bus, "numbers", &mut connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_copy_has_no_findings_also_when_it_is_not_up_to_date() {
    let ground = Ground::new("whole").await;
    let relay = ground.relay();
    ground.append(10, 6).await;
    ground.wait_relayed(60).await;
    relay.stop().await;
    assert!(compared(&ground).await.holds());
    ground.append(10, 1).await;
    assert!(compared(&ground).await.holds());
    ground.database.drop().await.unwrap();
}

#[tokio::test]
async fn an_event_in_the_middle_that_is_another_one_is_found() {
    let ground = Ground::new("whole_other").await;
    let relay = ground.relay();
    ground.append(1, 9).await;
    ground.wait_relayed(9).await;
    relay.stop().await;
    let change = "update event set event_id = gen_random_uuid() where position = 4";
    sqlx::query(change)
        .execute(ground.log.pool())
        .await
        .unwrap();
    let found = compared(&ground).await;
    assert_eq!(found.findings_total, 1);
    let finding = &found.findings[0];
    assert!(
        finding.contains("up to position 9 are not the events"),
        "{finding}"
    );
    ground.database.drop().await.unwrap();
}

#[tokio::test]
async fn a_message_that_is_lost_or_doubled_is_found() {
    let ground = Ground::new("whole_count").await;
    let relay = ground.relay();
    ground.append(1, 9).await;
    ground.wait_relayed(9).await;
    relay.stop().await;
    let messages = ground.messages().await;
    let doubled: Vec<_> = messages
        .iter()
        .take(3)
        .chain(&messages[2..])
        .cloned()
        .collect();
    let lost: Vec<_> = messages
        .iter()
        .take(3)
        .chain(&messages[4..])
        .cloned()
        .collect();
    for (untidy, count) in [(doubled, 10), (lost, 8)] {
        ground.publish_by_hand(&untidy).await;
        let found = compared(&ground).await;
        let finding = &found.findings[0];
        assert!(
            finding.contains(&format!("{count} messages, but 9 events")),
            "{finding}"
        );
    }
    ground.database.drop().await.unwrap();
}
