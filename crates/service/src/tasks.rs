//! Background tasks of a service: relays, projections, consumers, timers.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::FutureExt;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A background task did not end as it should.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// It returned an error.
    #[error("background task {name} failed")]
    Failed {
        /// The task.
        name: &'static str,
        /// Its error.
        #[source]
        source: BoxError,
    },
    /// It panicked.
    #[error("background task {name} panicked: {message}")]
    Panicked {
        /// The task.
        name: &'static str,
        /// The panic's message.
        message: String,
    },
    /// It went on after it was asked to end, and was aborted.
    #[error("background tasks did not end in time: {}", names.join(", "))]
    Overdue {
        /// The tasks.
        names: Vec<&'static str>,
    },
}

/// A set of tasks that belong together: the failure of one is the failure of all, and the end
/// waits for all. Clones are the same set.
#[derive(Clone, Debug, Default)]
pub struct Tasks(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    tracker: TaskTracker,
    stopping: CancellationToken,
    failed: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    running: BTreeMap<u64, (&'static str, AbortHandle)>,
    failure: Option<TaskError>,
}

impl Tasks {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `future` until it ends. It should watch [`Tasks::stopping`] and return soon after.
    /// If it returns an error or panics, the service goes down and [`Tasks::stop`] says why.
    pub fn spawn<F, E>(&self, name: &'static str, future: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let set = self.clone();
        // Held over the spawn, so that the task cannot leave before it is entered.
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        let handle = self.0.tracker.spawn(async move {
            let outcome = AssertUnwindSafe(future).catch_unwind().await;
            set.ended(id, name, outcome.map(|result| result.map_err(Into::into)));
        });
        state.running.insert(id, (name, handle.abort_handle()));
    }

    /// Cancelled when the tasks should end. The service has then no more calls under way.
    pub fn stopping(&self) -> CancellationToken {
        self.0.stopping.clone()
    }

    /// Resolves when a task has failed.
    pub async fn failed(&self) {
        self.0.failed.cancelled().await;
    }

    /// Asks all tasks to end and waits for them, at most `limit`; then aborts those left.
    ///
    /// # Errors
    /// The first failure of a task, or else which tasks had to be aborted.
    pub async fn stop(&self, limit: Duration) -> Result<(), TaskError> {
        self.0.stopping.cancel();
        self.0.tracker.close();
        let in_time = tokio::time::timeout(limit, self.0.tracker.wait())
            .await
            .is_ok();
        let mut state = self.state();
        if let Some(failure) = state.failure.take() {
            return Err(failure);
        }
        if in_time {
            return Ok(());
        }
        let overdue = std::mem::take(&mut state.running);
        let names = overdue.values().map(|(name, handle)| {
            handle.abort();
            *name
        });
        Err(TaskError::Overdue {
            names: names.collect(),
        })
    }

    fn ended(
        &self,
        id: u64,
        name: &'static str,
        outcome: Result<Result<(), BoxError>, Box<dyn Any + Send>>,
    ) {
        let mut state = self.state();
        state.running.remove(&id);
        let failure = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(source)) => TaskError::Failed { name, source },
            Err(panic) => TaskError::Panicked {
                name,
                message: panic_message(&*panic),
            },
        };
        if state.failure.is_none() {
            // Told by `stop`.
            state.failure = Some(failure);
            self.0.failed.cancel();
        } else {
            tracing::error!(
                error = crate::status::chain(&failure),
                "another task failed too"
            );
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0
            .state
            .lock()
            .expect("nothing panics while it holds the state")
    }
}

pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn the_end_waits_for_every_task() {
        let tasks = Tasks::new();
        let (stopping, done) = (tasks.stopping(), Arc::new(Mutex::new(false)));
        let end = done.clone();
        tasks.spawn("relay", async move {
            stopping.cancelled().await;
            tokio::task::yield_now().await;
            *end.lock().unwrap() = true;
            Ok::<_, BoxError>(())
        });
        tasks.stop(LIMIT).await.unwrap();
        assert!(*done.lock().unwrap());
    }

    #[tokio::test]
    async fn an_error_is_told_by_name() {
        let tasks = Tasks::new();
        tasks.spawn("relay", async { Err("no server") });
        tokio::time::timeout(LIMIT, tasks.failed()).await.unwrap();
        let error = tasks.stop(LIMIT).await.unwrap_err();
        assert_eq!(
            crate::status::chain(&error),
            "background task relay failed: no server"
        );
    }

    #[tokio::test]
    async fn a_panic_is_told_by_name() {
        let tasks = Tasks::new();
        tasks.spawn("relay", async {
            if true {
                panic!("lost its place");
            }
            Ok::<_, BoxError>(())
        });
        tokio::time::timeout(LIMIT, tasks.failed()).await.unwrap();
        let error = tasks.stop(LIMIT).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "background task relay panicked: lost its place"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_goes_on_is_named_and_aborted() {
        let tasks = Tasks::new();
        tasks.spawn(
            "stubborn",
            futures::future::pending::<Result<(), BoxError>>(),
        );
        tasks.spawn("good", async { Ok::<_, BoxError>(()) });
        let error = tasks.stop(LIMIT).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "background tasks did not end in time: stubborn"
        );
        // The abort takes effect: nothing of the set is left.
        tokio::time::timeout(LIMIT, tasks.0.tracker.wait())
            .await
            .unwrap();
    }
}
