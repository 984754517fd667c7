//! Something that runs beside the test.

use std::error::Error;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

/// A task that ends when it is told to. It is aborted where the test fails before.
pub(super) struct Running {
    shutdown: CancellationToken,
    tasks: JoinSet<Ended>,
}

impl Running {
    pub(super) fn new<Fut, E>(work: impl FnOnce(CancellationToken) -> Fut) -> Self
    where
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Error + Send + Sync + 'static,
    {
        let shutdown = CancellationToken::new();
        let work = work(shutdown.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { Ok(work.await?) });
        Self { shutdown, tasks }
    }

    /// Waits until it ends by itself.
    pub(super) async fn ended(&mut self) -> Option<Ended> {
        self.tasks.join_next().await.map(Result::unwrap)
    }

    /// Ends it, which must succeed.
    pub(super) async fn stop(&mut self) {
        self.shutdown.cancel();
        while let Some(ended) = self.ended().await {
            ended.unwrap();
        }
    }
}
