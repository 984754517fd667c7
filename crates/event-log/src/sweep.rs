//! Forgets commands whose retention has run out.

use crate::{EventLog, error::LogError};

/// Rows deleted in one transaction, so that none of them holds locks for long.
const BATCH_ROWS: i64 = 1000;

impl EventLog {
    /// Deletes the records of commands whose retention has run out, batch by batch; returns how many. What another system's key
    /// stands for is kept for ever.
    ///
    /// # Errors
    /// When the database fails; what was deleted by then stays deleted.
    pub async fn sweep_expired_commands(&self) -> Result<u64, LogError> {
        let mut swept = 0;
        loop {
            let mut transaction = self.pool().begin().await?;
            let deleted = sqlx::query(
                "delete from command_log c using (
                    select partition, tenant, request_id from command_log
                    where expires_at <= now() limit $1
                 ) expired
                 where c.partition = expired.partition and c.tenant = expired.tenant and c.request_id = expired.request_id
                    and c.expires_at <= now()",
            )
            .bind(BATCH_ROWS)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            transaction.commit().await?;
            swept += deleted;
            if deleted == 0 {
                return Ok(swept);
            }
        }
    }
}
