//! The connection of one writer: its own, so that no pool stands between a batch and its commit, and set up for one statement.

use std::{sync::Arc, time::Duration};

use sqlx::{ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::time::Instant;

use crate::recent::Recent;

/// A connection that has not been used for this long is asked whether it lives before it carries a batch.
const IDLE_MAX: Duration = Duration::from_secs(1);

pub(super) struct WriterConnection {
    recent: Arc<Recent>,
    options: PgConnectOptions,
    connect_timeout: Duration,
    open: Option<(PgConnection, Instant)>,
}

impl WriterConnection {
    /// A connection that is opened when it is needed. Whenever it was lost, `recent` is forgotten.
    pub(super) fn new(
        options: &PgConnectOptions,
        connect_timeout: Duration,
        recent: Arc<Recent>,
    ) -> Self {
        // The append statement finds every row by a whole key. Without these, a plan made while a table was small scans it when it is
        // large; and planning each batch anew costs more than the batch.
        let options = options.clone().options([
            ("plan_cache_mode", "force_generic_plan"),
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
        ]);
        Self {
            recent,
            options,
            connect_timeout,
            open: None,
        }
    }

    /// A connection outside any transaction.
    pub(super) async fn get(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        let kept = match self.open.take() {
            Some((mut connection, used)) if used.elapsed() > IDLE_MAX => {
                let answer = tokio::time::timeout(self.connect_timeout, connection.ping()).await;
                matches!(answer, Ok(Ok(()))).then_some(connection)
            }
            Some((connection, _)) => Some(connection),
            None => None,
        };
        let connection = match kept {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let (connection, _) = self.open.insert((connection, Instant::now()));
        Ok(connection)
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        self.recent.forget();
        tokio::time::timeout(self.connect_timeout, self.options.connect())
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)?
    }

    /// Forgets a connection of which nobody knows in what state it is.
    pub(super) fn discard(&mut self) {
        self.open = None;
        self.recent.forget();
    }
}
