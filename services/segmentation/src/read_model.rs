//! What is read: segments and fits by name and time (a projection of the own log), and beside it the facts, the standings and the
//! values.

pub(crate) mod facts;
pub(crate) mod histories;
pub(crate) mod mergers;
mod rebuild;
pub(crate) mod segments;
pub(crate) mod standings;
pub(crate) mod values;

pub use rebuild::rebuild_standings;

use std::collections::BTreeMap;

use aggregate::{Partition, TenantId};
use event_log::{Projection, ProjectionError, Stored as _, StoredEvent, SubjectCipher, Table};
use prost::Message as _;
use sqlx::PgConnection;

use crate::{
    codec::{
        self, CUSTOMER_SCORED, MODELS_FITTED, SEGMENT_DEFINED, SEGMENT_ENTERED, SEGMENT_LEFT,
        SEGMENT_NAME_CLAIMED, SEGMENT_RULE_CHANGED,
    },
    domain::{ModelsFitted, Segment, SegmentEvent, SegmentId, ValueFit},
    progress,
};

/// Keeps the rows of `segment` and `fit`: what there is to evaluate and to score by.
#[derive(Clone, Debug)]
pub(crate) struct Catalogue;

impl Catalogue {
    pub(crate) const NAME: &'static str = "segmentation.catalogue";
}

/// A segment as the last of its events leaves it. The name is absent when the batch has no definition of it.
struct SegmentRow {
    partition: Partition,
    name: Option<String>,
    rule: String,
    rule_version: u32,
}

type Segments = BTreeMap<(TenantId, SegmentId), SegmentRow>;

#[derive(Default)]
struct Fits {
    partition: Vec<i16>,
    tenant: Vec<String>,
    fit_id: Vec<uuid::Uuid>,
    calibration_end: Vec<time::OffsetDateTime>,
    fitted_at: Vec<time::OffsetDateTime>,
    fit: Vec<Vec<u8>>,
}

impl Projection for Catalogue {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn tables(&self) -> &'static [Table] {
        // How far evaluation and scoring have come is not in the log.
        const {
            &[
                Table {
                    name: "segment",
                    aside: &["evaluated_version"],
                },
                Table {
                    name: "fit",
                    aside: &["scored"],
                },
            ]
        }
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        self.derive(connection, events).await?;
        progress::moved(connection, progress::OWN, events).await?;
        Ok(())
    }

    async fn derive(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        let mut segments = Segments::new();
        let mut fits = Fits::default();
        for event in events {
            let cipher = SubjectCipher::none(&event.tenant);
            match (event.type_.as_str(), event.schema_version) {
                (SEGMENT_DEFINED | SEGMENT_RULE_CHANGED, _) => {
                    take_over(&mut segments, event, Segment::decode(event, &cipher)?);
                }
                (MODELS_FITTED, _) => fits.add(event, &ValueFit::decode(event, &cipher)?),
                (SEGMENT_NAME_CLAIMED | CUSTOMER_SCORED | SEGMENT_ENTERED | SEGMENT_LEFT, 1) => {}
                _ => return Err(event_log::DecodeError::unknown(event).into()),
            }
        }
        write_segments(connection, segments).await?;
        fits.write(connection).await?;
        Ok(())
    }
}

fn take_over(segments: &mut Segments, stored: &StoredEvent, event: SegmentEvent) {
    match event {
        SegmentEvent::Defined {
            segment,
            name,
            rule,
        } => {
            let row = SegmentRow {
                partition: stored.partition,
                name: Some(name),
                rule,
                rule_version: 1,
            };
            segments.insert((stored.tenant.clone(), segment), row);
        }
        SegmentEvent::RuleChanged {
            segment,
            rule,
            rule_version,
        } => {
            let name = segments
                .get(&(stored.tenant.clone(), segment))
                .and_then(|row| row.name.clone());
            let row = SegmentRow {
                partition: stored.partition,
                name,
                rule,
                rule_version,
            };
            segments.insert((stored.tenant.clone(), segment), row);
        }
    }
}

/// A segment that is written counts as not evaluated, so that one that was missing for a while, during a rebuild, catches up. A rule
/// never goes back to an older version.
async fn write_segments(
    connection: &mut PgConnection,
    segments: Segments,
) -> Result<(), sqlx::Error> {
    let (mut partitions, mut tenants, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    let (mut names, mut rules, mut versions) = (Vec::new(), Vec::new(), Vec::new());
    for ((tenant, segment), row) in segments {
        partitions.push(i16::from(row.partition.number()));
        tenants.push(String::from(tenant));
        ids.push(segment.0);
        names.push(row.name);
        rules.push(row.rule);
        versions.push(i32::try_from(row.rule_version).unwrap_or(i32::MAX));
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "with change as (
            select * from unnest($1::smallint[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::integer[])
                as t (partition, tenant, segment_id, name, rule, rule_version)
         ), changed as (
            update segment s set rule = c.rule, rule_version = c.rule_version, evaluated_version = 0
            from change c
            where s.partition = c.partition and s.tenant = c.tenant and s.segment_id = c.segment_id
                and c.rule_version >= s.rule_version
         )
         insert into segment (partition, tenant, segment_id, name, rule, rule_version)
         select partition, tenant, segment_id, name, rule, rule_version from change where name is not null
         on conflict do nothing",
    )
    .bind(partitions)
    .bind(tenants)
    .bind(ids)
    .bind(names)
    .bind(rules)
    .bind(versions)
    .execute(connection)
    .await?;
    Ok(())
}

impl Fits {
    fn add(&mut self, event: &StoredEvent, ModelsFitted(fit): &ModelsFitted) {
        self.partition.push(event.partition.number().into());
        self.tenant.push(event.tenant.as_str().to_owned());
        self.fit_id.push(fit.id.0);
        self.calibration_end.push(fit.calibration_end);
        self.fitted_at.push(event.recorded_at);
        self.fit.push(codec::fit::message(fit).encode_to_vec());
    }

    async fn write(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.fit_id.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert into fit (partition, tenant, fit_id, calibration_end, fitted_at, fit)
             select * from unnest($1::smallint[], $2::text[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::bytea[])
             on conflict do nothing",
        )
        .bind(self.partition)
        .bind(self.tenant)
        .bind(self.fit_id)
        .bind(self.calibration_end)
        .bind(self.fitted_at)
        .bind(self.fit)
        .execute(connection)
        .await?;
        Ok(())
    }
}
