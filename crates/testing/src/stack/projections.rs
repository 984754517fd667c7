//! What projections have made of the logs, and making them do it again.

use event_log::{EventLog, Projection as _, rebuild::Rebuild};
use service::Maintained;
use sqlx::AssertSqlSafe;

use super::{SOON, Stack, UnderTest};
use crate::eventually;

impl<S: UnderTest> Stack<S> {
    /// The rows of a table as text, in order.
    pub async fn rows(&self, table: &str) -> Vec<String> {
        let query = format!("select t::text from {table} t order by 1");
        sqlx::query_scalar(AssertSqlSafe(query))
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }

    /// The same, once there are as many as expected.
    pub async fn rows_once(&self, table: &str, expected: usize) -> Vec<String> {
        eventually(SOON, &format!("{expected} rows of {table}"), || async {
            let rows = self.rows(table).await;
            (rows.len() == expected).then_some(rows)
        })
        .await
    }

    /// The rows of several tables, each as text and in order.
    pub async fn dump(&self, tables: &[&str]) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        for table in tables {
            rows.push(self.rows(table).await);
        }
        rows
    }

    /// Waits until a projection has applied this many events.
    pub async fn applied(&self, projection: &str, events: i64) {
        let waited_for = format!("{projection} at {events} events");
        eventually(SOON, &waited_for, || async {
            let applied = self.position(projection).await;
            assert!(applied <= events, "{projection} at {applied} events");
            (applied == events).then_some(())
        })
        .await;
    }

    /// Restarts the service with what is in `tables` and how far `projections` had come forgotten, and waits until
    /// each of them has come there again. They must have come to the end of their logs before.
    pub async fn rebuilt(self, projections: &[&str], tables: &[&str]) -> Self {
        let mut applied = Vec::new();
        for projection in projections {
            let events = self.position(projection).await;
            assert!(events > 0, "{projection} has nothing to forget");
            applied.push(events);
        }
        let stack = self
            .restart(async |stack| {
                if !tables.is_empty() {
                    let truncate = format!("truncate {}", tables.join(", "));
                    sqlx::query(AssertSqlSafe(truncate))
                        .execute(&stack.pool)
                        .await
                        .unwrap();
                }
                sqlx::query("delete from checkpoint where projection = any($1)")
                    .bind(projections)
                    .execute(&stack.pool)
                    .await
                    .unwrap();
            })
            .await;
        for (projection, events) in projections.iter().zip(applied) {
            stack.applied(projection, events).await;
        }
        stack
    }

    /// Makes the rows of all projections anew beside the running service, checks that they are those which are there, and lets them take
    /// over. `others` are the logs of other services that it follows.
    pub async fn remade(
        &self,
        projections: fn(&EventLog) -> Vec<Maintained>,
        others: &[&EventLog],
    ) {
        const BATCH_EVENTS: i64 = 20;
        let own = self.open_log().await;
        for Maintained { source, projection } in projections(&own) {
            let mut logs = others.iter().copied().chain([&own]);
            let log = logs.find(|log| log.name() == source.as_str()).unwrap();
            let begin = || Rebuild::begin(own.pool(), log, projection.clone(), BATCH_EVENTS);
            let found = begin().await.unwrap().compare().await.unwrap();
            assert!(found.is_equal(), "{}: {found:#?}", projection.name());
            begin().await.unwrap().take_over().await.unwrap();
        }
        own.close().await;
    }

    async fn position(&self, projection: &str) -> i64 {
        sqlx::query_scalar(
            "select coalesce(sum(position), 0)::bigint from checkpoint where projection = $1",
        )
        .bind(projection)
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }
}
