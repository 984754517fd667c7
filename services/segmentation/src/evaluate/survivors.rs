//! Who goes on for whom an evaluation is about.

use std::collections::{BTreeMap, BTreeSet};

use aggregate::{CustomerId, Partition};
use sqlx::PgConnection;

use super::{ByTenant, Evaluation};
use crate::{domain::Cause, read_model::mergers};

/// What the mergers of those evaluated lead to.
#[derive(Debug, Default)]
pub(super) struct Survivors {
    /// Evaluations of those who go on and are not evaluated anyway, with the cause by which they are found.
    pub(super) evaluations: Vec<Evaluation>,
    /// Where the facts lie that they need.
    pub(super) partitions: BTreeSet<Partition>,
}

/// Finds who goes on for somebody evaluated. Asked when those are locked: whoever absorbs one of them locks it too.
pub(super) async fn survivors(
    connection: &mut PgConnection,
    by_tenant: &ByTenant<'_>,
) -> Result<Survivors, sqlx::Error> {
    let mut found = Survivors::default();
    for (tenant, evaluations) in by_tenant {
        let evaluated: BTreeMap<CustomerId, &Evaluation> = evaluations
            .iter()
            .map(|evaluation| (evaluation.customer, *evaluation))
            .collect();
        let customers: Vec<CustomerId> = evaluated.keys().copied().collect();
        let groups = mergers::groups(connection, tenant, &customers).await?;
        found.partitions.extend(groups.partitions(tenant));
        for (survivor, others) in groups.groups {
            if evaluated.contains_key(&survivor) {
                continue;
            }
            let causes = others.iter().filter_map(|other| evaluated.get(other));
            // History causes an evaluation only where nothing else does.
            let cause = causes.min_by_key(|because| matches!(because.cause, Cause::Backfill(_)));
            found
                .evaluations
                .extend(cause.map(|because| because.of(survivor)));
        }
    }
    Ok(found)
}
