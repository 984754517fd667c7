//! Answers: one purchase from its stream, the timeline from the read model.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use aggregate::{CustomerId, StreamId};
use contracts::interactions::v1 as pb;
use event_log::{DecodeError, KeyError, StoredEvent, Stream, SubjectCipher, timestamp};
use service::{
    Caller, ServiceName, command, page,
    status::{self, Violations},
};
use time::{OffsetDateTime, macros::datetime};
use tonic::Status;
use uuid::Uuid;

use super::{Api, message, parse};
use crate::{
    codec::{self, Interaction},
    domain::purchase::RecordPurchase,
    groups::group,
    known_customers::Known,
    react::KnownCustomersProjection,
    read_model::{self, Place, Timeline},
};

/// Later than anything that can happen.
const END_OF_TIME: OffsetDateTime = datetime!(9999-12-31 23:59:59.999999 UTC);

impl Api {
    /// One purchase, current.
    pub(super) async fn purchase_by_id(
        &self,
        caller: &Caller,
        request: &pb::GetPurchaseRequest,
    ) -> Result<pb::GetPurchaseResponse, Status> {
        let mut wrong = Violations::new();
        let customer = parse::customer(&mut wrong, "customer_id", &request.customer_id);
        let id: Option<StreamId> = wrong.parsed("purchase_id", request.purchase_id.parse());
        let (customer, id) = parse::complete(wrong, || Some((customer?, id?)))?;

        let recorded = match self
            .purchase_of(caller, &BTreeSet::from([customer]), id)
            .await?
        {
            Some(recorded) => recorded,
            None => {
                let group = self.group(caller, customer).await?;
                self.purchase_of(caller, &group, id)
                    .await?
                    .ok_or_else(|| status::not_found("purchase", &id.to_string()))?
            }
        };
        Ok(pb::GetPurchaseResponse {
            purchase: Some(message::purchase(&recorded)),
            received_time: Some(timestamp::to_proto(recorded.facts.received_at)),
            total: Some(message::total(&recorded)),
        })
    }

    /// The purchase, when it is one of these customers'.
    async fn purchase_of(
        &self,
        caller: &Caller,
        customers: &BTreeSet<CustomerId>,
        id: StreamId,
    ) -> Result<Option<RecordPurchase>, Status> {
        let mut read = BTreeSet::new();
        for customer in customers {
            let stream = Stream::about_customer(&caller.tenant, *customer, id).without_subject();
            if !read.insert(stream.partition) {
                continue;
            }
            let events = self
                .log
                .read_stream(&stream)
                .await
                .map_err(command::failed)?;
            // A stream of something else, or of another customer of the same partition, is not the purchase that is asked for.
            let Some(event) = events.first().filter(|event| codec::is_purchase(event)) else {
                continue;
            };
            let recorded = codec::purchase(event).map_err(|error| status::internal(&error))?;
            if customers.contains(&recorded.facts.customer) {
                return Ok(Some(recorded));
            }
        }
        Ok(None)
    }

    async fn group(
        &self,
        caller: &Caller,
        customer: CustomerId,
    ) -> Result<BTreeSet<CustomerId>, Status> {
        group(self.log.pool(), &caller.tenant, customer)
            .await
            .map_err(command::database)
    }

    /// A page of the interactions of a customer, and of whoever is one and the same, newest first.
    pub(super) async fn timeline(
        &self,
        caller: &Caller,
        request: &pb::ListTimelineRequest,
    ) -> Result<pb::ListTimelineResponse, Status> {
        let mut wrong = Violations::new();
        let customer = parse::customer(&mut wrong, "customer_id", &request.customer_id);
        let as_of = request
            .as_of
            .as_ref()
            .map(timestamp::from_proto)
            .transpose();
        let as_of = wrong.parsed("as_of", as_of);
        let (customer, as_of) = parse::complete(wrong, || Some((customer?, as_of?)))?;
        let as_of = as_of.unwrap_or(END_OF_TIME);
        let size = page::size(request.page_size, &self.limits)?;
        let query = page::Query::new("ListTimeline")
            .with(caller.tenant.as_str())
            .with(customer.0.as_bytes())
            .with(micros(as_of).to_le_bytes());
        let cursor: Option<(i64, Uuid)> = query.cursor(&request.page_token)?;
        let first_page = cursor.is_none();
        let after = match cursor {
            Some((micros, interaction_id)) => Place {
                occurred_at: of_micros(micros)
                    .ok_or_else(|| status::invalid_field("page_token", "is not a page token"))?,
                interaction_id,
            },
            None => Place::newest_at(as_of),
        };
        caller
            .wait(
                &self.log,
                &Timeline,
                self.log.name(),
                &request.consistency_token,
            )
            .await?;

        let customers = ServiceName::Customers.as_str();
        caller
            .wait(
                &self.log,
                &KnownCustomersProjection,
                customers,
                &request.consistency_token,
            )
            .await?;

        let group = self.group(caller, customer).await?;
        // One more than the page tells whether there is a next one.
        let mut entries =
            read_model::page(self.log.pool(), &caller.tenant, &group, after, size + 1)
                .await
                .map_err(command::database)?;
        if entries.is_empty()
            && first_page
            && self.known(&caller.tenant, customer).await? == Known::No
        {
            return Err(status::not_found("customer", &customer.to_string()));
        }
        let more = entries.len() > size as usize;
        entries.truncate(size as usize);
        let last = entries.last().map(|(_, event)| Place::of(event));
        let next_page_token = match last {
            Some(last) if more => query.token(&(micros(last.occurred_at), last.interaction_id)),
            Some(_) | None => String::new(),
        };
        Ok(pb::ListTimelineResponse {
            entries: self.opened(caller, &entries).await?,
            next_page_token,
        })
    }

    /// The entries, each opened by the key of the customer under whose id it was told.
    async fn opened(
        &self,
        caller: &Caller,
        entries: &[(CustomerId, StoredEvent)],
    ) -> Result<Vec<pb::TimelineEntry>, Status> {
        let mut ciphers = BTreeMap::new();
        let mut opened = Vec::with_capacity(entries.len());
        for (customer, event) in entries {
            let cipher = match ciphers.entry(*customer) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(vacant) => vacant.insert(self.cipher(caller, *customer).await?),
            };
            opened.push(entry(event, cipher).map_err(|error| status::internal(&error))?);
        }
        Ok(opened)
    }

    /// What opens the customer's summaries; it opens nothing when there never was one, or no longer.
    async fn cipher(&self, caller: &Caller, customer: CustomerId) -> Result<SubjectCipher, Status> {
        let cipher = self.log.keys().cipher(&caller.tenant, customer).await;
        let cipher = cipher.map_err(|error: KeyError| command::failed(error.into()))?;
        Ok(cipher.unwrap_or_else(|| SubjectCipher::none(&caller.tenant)))
    }
}

fn entry(event: &StoredEvent, cipher: &SubjectCipher) -> Result<pb::TimelineEntry, DecodeError> {
    let (occurred_at, received_at, interaction) = match codec::interaction(event, cipher)? {
        Interaction::Purchase(recorded) => (
            recorded.facts.occurred_at,
            recorded.facts.received_at,
            pb::timeline_entry::Interaction::Purchase(message::purchase(&recorded)),
        ),
        Interaction::Touchpoint(facts) => (
            facts.occurred_at,
            facts.received_at,
            pb::timeline_entry::Interaction::Touchpoint(message::touchpoint(&facts)),
        ),
    };
    Ok(pb::TimelineEntry {
        occurred_time: Some(timestamp::to_proto(occurred_at)),
        received_time: Some(timestamp::to_proto(received_at)),
        interaction: Some(interaction),
    })
}

fn micros(moment: OffsetDateTime) -> i64 {
    i64::try_from(moment.unix_timestamp_nanos() / 1000)
        .expect("the microseconds of 10,000 years fit in 64 bits")
}

fn of_micros(micros: i64) -> Option<OffsetDateTime> {
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).ok()?;
    // A token that a client made up must not reach the database with a year that this does not know.
    (moment.year() > 0).then_some(moment)
}
