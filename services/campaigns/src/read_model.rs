//! What this service's own log adds up to: campaigns, decisions and their counts. The projection is here, the queries beside it.

mod campaigns;
mod decisions;
mod outcome;

use event_log::{Projection, ProjectionError, StoredEvent, Table};
use sqlx::PgConnection;

pub(crate) use campaigns::{DecidingCampaign, NewestPlace, deciding, newest_page};
pub(crate) use decisions::{Counts, DecisionRow, counts, decision_page};
pub(crate) use outcome::{ArmTotals, OutcomeError, outcome};

use crate::codec::{self, LogEvent};

/// Keeps the rows of `campaign`, `decision` and `decision_count`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CampaignsProjection;

impl Projection for CampaignsProjection {
    fn name(&self) -> &'static str {
        "campaigns.campaigns"
    }

    fn tables(&self) -> &'static [Table] {
        const {
            &[
                Table::new("campaign"),
                Table::new("decision"),
                Table::new("decision_count"),
            ]
        }
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        let mut of_campaigns = campaigns::Changes::default();
        let mut of_decisions = decisions::Changes::default();
        for event in events {
            match codec::decode(event)? {
                LogEvent::Campaign(change) => of_campaigns.add(event, &change),
                LogEvent::Recipient(decision) => of_decisions.add(event, &decision),
            }
        }
        of_campaigns.write(connection).await?;
        of_decisions.write(connection).await?;
        Ok(())
    }
}

/// An unsigned number that PostgreSQL keeps as a signed one.
fn count(number: i64) -> Result<u32, sqlx::Error> {
    u32::try_from(number).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// A value that this service has written and cannot read.
fn corrupt(column: &'static str) -> sqlx::Error {
    sqlx::Error::Decode(format!("column {column} holds what was never written").into())
}
