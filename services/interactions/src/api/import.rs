//! Import: many rows over one stream, some of them at work at the same time, answered in the order in which they came.

use std::collections::HashMap;

use contracts::interactions::v1::{ImportOutcome, ImportPurchasesRequest, ImportPurchasesResponse};
use futures::{Stream, StreamExt as _};
use service::{Caller, clock};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Status;

use super::Api;

impl Api {
    /// Rows at work share commits. A caller that does not read its answers is not read from either, so that what waits here is
    /// bounded by the rows at work. The stream ends with the caller's, or with the error that broke the caller's off; by then
    /// all rows before it are answered.
    pub(super) fn import(
        self,
        caller: Caller,
        rows: impl Stream<Item = Result<ImportPurchasesRequest, Status>>,
    ) -> impl Stream<Item = Result<ImportPurchasesResponse, Status>> {
        let in_flight = self.limits.import_rows_in_flight;
        let mut turns = Turns::new(in_flight);
        rows.map(move |row| {
            let api = self.clone();
            let caller = caller.clone();
            let turn = row.as_ref().ok().and_then(|row| turns.take(row));
            async move {
                let row = row?;
                // Held until the row is answered.
                let _turn = match turn {
                    Some(turn) => Some(turn.begin().await),
                    None => None,
                };
                Ok(api.import_row(caller, row).await)
            }
        })
        .buffered(in_flight)
    }

    async fn import_row(
        &self,
        mut caller: Caller,
        request: ImportPurchasesRequest,
    ) -> ImportPurchasesResponse {
        // A row is received when it comes, not when the import began.
        caller.now = clock::now();
        let row = request.row;
        match self.purchase(&caller, request.purchase).await {
            Ok(recorded) => ImportPurchasesResponse {
                row,
                outcome: outcome(recorded.repeated_request).into(),
                purchase_id: recorded.purchase_id,
                code: 0,
                message: String::new(),
                consistency_token: recorded.consistency_token,
            },
            Err(status) => ImportPurchasesResponse {
                row,
                outcome: ImportOutcome::Refused.into(),
                purchase_id: String::new(),
                code: status.code().into(),
                message: status.message().to_owned(),
                consistency_token: String::new(),
            },
        }
    }
}

/// Rows of one key take turns, so that of two with other content the one that was sent first is recorded.
struct Turns {
    last: HashMap<(String, String), CancellationToken>,
    keys_max: usize,
}

struct Turn {
    before: Option<CancellationToken>,
    done: DropGuard,
}

impl Turns {
    fn new(in_flight: usize) -> Self {
        Self {
            last: HashMap::new(),
            // At most half of them are at work, so that the other half makes room whenever it is full.
            keys_max: in_flight * 2,
        }
    }

    /// The turn of a row behind all that came before it; `None` for one without a key.
    fn take(&mut self, row: &ImportPurchasesRequest) -> Option<Turn> {
        let purchase = row.purchase.as_ref()?;
        if self.last.len() >= self.keys_max {
            self.last.retain(|_, done| !done.is_cancelled());
        }
        let key = (purchase.source.clone(), purchase.source_id.clone());
        let done = CancellationToken::new();
        let before = self.last.insert(key, done.clone());
        Some(Turn {
            before,
            done: done.drop_guard(),
        })
    }
}

impl Turn {
    /// Waits for the row before; the turn lasts as long as what is returned.
    async fn begin(self) -> DropGuard {
        if let Some(before) = self.before {
            before.cancelled().await;
        }
        self.done
    }
}

fn outcome(repeated: bool) -> ImportOutcome {
    if repeated {
        ImportOutcome::Duplicate
    } else {
        ImportOutcome::Recorded
    }
}
