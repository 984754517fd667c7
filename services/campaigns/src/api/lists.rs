//! Pages of campaigns and of decisions.

use aggregate::CustomerId;
use contracts::campaigns::v1 as pb;
use service::{Caller, command, page, status};
use time::OffsetDateTime;
use tonic::Status;
use uuid::Uuid;

use super::{Api, message, parse};
use crate::read_model::{NewestPlace, counts, decision_page, newest_page};

impl Api {
    /// A page of the tenant's campaigns, newest first.
    pub(super) async fn campaigns(
        &self,
        caller: &Caller,
        request: &pb::ListCampaignsRequest,
    ) -> Result<pb::ListCampaignsResponse, Status> {
        let size = page::size(request.page_size, &self.limits)?;
        let query = page::Query::new("ListCampaigns").with(caller.tenant.as_str());
        let after = match query.cursor::<(i64, Uuid)>(&request.page_token)? {
            Some((micros, campaign_id)) => Some(NewestPlace {
                created_at: of_micros(micros)
                    .ok_or_else(|| status::invalid_field("page_token", "is not a page token"))?,
                campaign_id,
            }),
            None => None,
        };
        // One more than the page tells whether there is a next one.
        let mut rows = newest_page(self.log.pool(), &caller.tenant, after, size + 1)
            .await
            .map_err(command::database)?;
        let more = rows.len() > size as usize;
        rows.truncate(size as usize);
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        let counted = counts(self.log.pool(), &caller.tenant, &ids)
            .await
            .map_err(command::database)?;
        let next_page_token = match rows.last() {
            Some(last) if more => query.token(&(micros(last.created_at), last.id.0)),
            Some(_) | None => String::new(),
        };
        Ok(pb::ListCampaignsResponse {
            campaigns: rows
                .iter()
                .map(|row| message::campaign(row.id, &row.plan, row.state, counted.get(&row.id)))
                .collect(),
            next_page_token,
        })
    }

    /// A page of a campaign's decisions, in order of customer id.
    pub(super) async fn decisions(
        &self,
        caller: &Caller,
        request: &pb::ListDecisionsRequest,
    ) -> Result<pb::ListDecisionsResponse, Status> {
        let id = parse::campaign_id(&request.campaign_id)?;
        let size = page::size(request.page_size, &self.limits)?;
        let query = page::Query::new("ListDecisions")
            .with(caller.tenant.as_str())
            .with(id.0.as_bytes());
        let after: Option<Uuid> = query.cursor(&request.page_token)?;
        self.campaign(&caller.tenant, id).await?;
        let mut rows = decision_page(
            self.log.pool(),
            &caller.tenant,
            id,
            after.map(CustomerId),
            size + 1,
        )
        .await
        .map_err(command::database)?;
        let more = rows.len() > size as usize;
        rows.truncate(size as usize);
        let next_page_token = match rows.last() {
            Some(last) if more => query.token(&last.customer.0),
            Some(_) | None => String::new(),
        };
        Ok(pb::ListDecisionsResponse {
            decisions: rows.iter().map(message::decision).collect(),
            next_page_token,
        })
    }
}

fn micros(moment: OffsetDateTime) -> i64 {
    i64::try_from(moment.unix_timestamp_nanos() / 1000)
        .expect("the microseconds of 10,000 years fit in 64 bits")
}

fn of_micros(micros: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).ok()
}
