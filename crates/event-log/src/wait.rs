//! Reads that wait until a read model shows what the reader has already seen.

use std::time::Duration;

use tokio::time::Instant;

use crate::{EventLog, error::LogError, projection::Projection, token::ConsistencyToken};

/// How often the checkpoint is looked at while waiting; another process may be the one that moves it.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Why a read model does not show what a token asks for.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// It did not come that far in time.
    #[error("the read model {projection} has not come up to the consistency token in time")]
    TimedOut {
        /// The projection.
        projection: &'static str,
    },
    /// The log was restored to an earlier point since the token was given.
    #[error("the consistency token is of epoch {given}, the log {log} is at epoch {present}")]
    OtherEpoch {
        /// The log.
        log: String,
        /// Epoch of the token.
        given: i32,
        /// Epoch of the log.
        present: i32,
    },
    /// The log failed.
    #[error(transparent)]
    Failed(#[from] LogError),
}

impl EventLog {
    /// Waits until the projection `projection`, which follows the log `source`, has applied all that the tokens of that log
    /// stand for. Tokens of other logs are not its concern.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] at the deadline.
    pub async fn wait_for(
        &self,
        projection: &impl Projection,
        source: &str,
        tokens: &[ConsistencyToken],
        deadline: Instant,
    ) -> Result<(), WaitError> {
        let mut partitions = Vec::new();
        let mut positions = Vec::new();
        for token in tokens.iter().filter(|token| token.log == source) {
            if token.log == self.name() && token.epoch != self.epoch() {
                return Err(WaitError::OtherEpoch {
                    log: token.log.clone(),
                    given: token.epoch,
                    present: self.epoch(),
                });
            }
            for (partition, position) in &token.positions {
                partitions.push(i16::from(partition.number()));
                positions.push(*position);
            }
        }
        while !partitions.is_empty() {
            let reached: bool = sqlx::query_scalar(
                "select not exists (
                    select from unnest($3::smallint[], $4::bigint[]) as wanted (partition, position)
                    left join checkpoint c on c.projection = $1 and c.version = $2 and c.partition = wanted.partition
                    where coalesce(c.position, 0) < wanted.position)",
            )
            .bind(projection.name())
            .bind(projection.version())
            .bind(&partitions)
            .bind(&positions)
            .fetch_one(self.pool())
            .await
            .map_err(LogError::from)?;
            if reached {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(WaitError::TimedOut {
                    projection: projection.name(),
                });
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }
}
