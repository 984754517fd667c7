//! Waiting on a condition with a limit, the only way in which tests wait.

use std::time::{Duration, Instant};

const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// Asks `condition` again and again until it gives a value, and returns that value.
///
/// # Panics
/// After `limit`, with `description` (what was waited for). A condition that is still being asked at
/// the limit is given up on, so one that hangs cannot hang the test.
pub async fn eventually<T, C, F>(limit: Duration, description: &str, mut condition: C) -> T
where
    C: FnMut() -> F,
    F: Future<Output = Option<T>>,
{
    let asking = async {
        let mut pause = PAUSE_MIN;
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    };
    match tokio::time::timeout(limit, asking).await {
        Ok(value) => value,
        Err(_) => panic!("waited {limit:?} in vain for: {description}"),
    }
}

/// The same for code without a runtime: `None` once `limit` has passed.
pub fn wait_until<T>(limit: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    let mut pause = PAUSE_MIN;
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn returns_the_first_value() {
        let mut asked = 0;
        let value = eventually(Duration::from_secs(5), "the third answer", || {
            asked += 1;
            let answer = (asked == 3).then_some(asked);
            async move { answer }
        })
        .await;
        assert_eq!(value, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "in vain for: a pig that flies")]
    async fn says_what_it_waited_for() {
        eventually(Duration::from_millis(20), "a pig that flies", || async {
            None::<()>
        })
        .await;
    }

    #[tokio::test]
    #[should_panic(expected = "in vain for: an answer")]
    async fn gives_up_on_a_condition_that_hangs() {
        eventually(
            Duration::from_millis(20),
            "an answer",
            std::future::pending::<Option<()>>,
        )
        .await;
    }

    #[test]
    fn without_a_runtime_gives_up_at_the_limit() {
        assert_eq!(wait_until(Duration::from_millis(10), || None::<()>), None);
        assert_eq!(wait_until(Duration::ZERO, || Some(1)), Some(1));
    }
}
