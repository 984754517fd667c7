//! The scans of facts under a statement: one for each table, with every aggregate that any rule asks for.

use super::statement::{Binds, NOW, TENANT, Whom, anybody};

/// The name that a fact table has inside its own scan.
pub(super) const FACT_TABLE_ALIAS: &str = "f";

/// Which facts an aggregate sees.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    pub(super) touchpoints: bool,
    /// Conditions on the fact itself, each followed by `and`.
    pub(super) chosen: String,
    /// The far end of the window: its distance from `now` in microseconds, and the same as a parameter.
    pub(super) older: Option<(i64, String)>,
    /// The near end, where that is not `now`.
    pub(super) newer: Option<String>,
}

impl Filter {
    fn condition(&self) -> String {
        let mut condition = self.chosen.clone();
        if let Some((_, older)) = &self.older {
            condition.push_str(&format!("f.occurred_at > {NOW} - {older} and "));
        }
        match &self.newer {
            Some(newer) => condition.push_str(&format!("f.occurred_at <= {NOW} - {newer}")),
            None => condition.push_str(&format!("f.occurred_at <= {NOW}")),
        }
        condition
    }

    /// When the first fact leaves the window, and when the first enters it.
    fn dues(&self) -> Vec<String> {
        let mut dues = Vec::new();
        if let Some((_, older)) = &self.older {
            let inside = self.condition();
            dues.push(format!(
                "min(f.occurred_at) filter (where {inside}) + {older}"
            ));
        }
        if let Some(newer) = &self.newer {
            let chosen = &self.chosen;
            dues.push(format!(
                "min(f.occurred_at) filter (where {chosen}f.occurred_at > {NOW} - {newer} and f.occurred_at <= {NOW}) + {newer}"
            ));
        }
        dues
    }
}

/// Everything that a statement reads besides the profile, and its parameters.
#[derive(Debug, Default)]
pub(super) struct Scans {
    pub(super) binds: Binds,
    pub(super) valuation: bool,
    purchases: Scan,
    touchpoints: Scan,
}

#[derive(Debug, Default)]
struct Scan {
    columns: Vec<String>,
    dues: Vec<String>,
    reach: Reach,
}

/// How far back the scan must read.
#[derive(Debug, Default)]
enum Reach {
    #[default]
    Nothing,
    Since(i64, String),
    Everything,
}

impl Scans {
    /// The name of the column that holds `aggregate` over the facts that `filter` lets through. The same aggregate
    /// over the same facts is one column, however many rules use it.
    pub(super) fn column(&mut self, filter: &Filter, aggregate: &str) -> String {
        let (scan, alias) = if filter.touchpoints {
            (&mut self.touchpoints, "t")
        } else {
            (&mut self.purchases, "p")
        };
        let column = format!("{aggregate} filter (where {})", filter.condition());
        scan.reach.extend(filter.older.as_ref());
        for due in filter.dues() {
            if !scan.dues.contains(&due) {
                scan.dues.push(due);
            }
        }
        let known = scan.columns.iter().position(|other| *other == column);
        let index = known.unwrap_or_else(|| {
            scan.columns.push(column);
            scan.columns.len() - 1
        });
        format!("{alias}.a{}", index + 1)
    }

    /// How many columns the widest scan has.
    pub(super) fn width(&self) -> usize {
        self.purchases
            .columns
            .len()
            .max(self.touchpoints.columns.len())
    }

    /// The joins onto `customer_fact c`.
    pub(super) fn joins(&self, whom: Whom) -> String {
        let mut joins = self.purchases.join("purchase_fact", "p", whom);
        joins.push_str(&self.touchpoints.join("touchpoint_fact", "t", whom));
        if self.valuation {
            joins.push_str(&format!(
                "\n  left join lateral (\
                 \n    select x.p_alive, x.expected_purchases, x.expected_value_minor, x.tier, x.rfm_r, x.rfm_f, x.rfm_m\
                 \n      from valuation x\
                 \n     where x.tenant = {TENANT} and x.customer_id = c.customer_id and x.calibration_end <= {NOW}\
                 \n     order by x.calibration_end desc\
                 \n     limit 1\
                 \n  ) v on true"
            ));
        }
        joins
    }

    /// The moments at which a fact passes the end of a window, or comes to be seen.
    pub(super) fn dues(&self) -> Vec<String> {
        [(&self.purchases, "p"), (&self.touchpoints, "t")]
            .into_iter()
            .filter(|(scan, _)| !scan.columns.is_empty())
            .map(|(_, alias)| format!("{alias}.due"))
            .collect()
    }
}

impl Scan {
    fn join(&self, table: &str, alias: &str, whom: Whom) -> String {
        if self.columns.is_empty() {
            return String::new();
        }
        let columns: String = self
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| format!("           {column} as a{},\n", index + 1))
            .collect();
        // A fact whose time is still to come counts from that time on.
        let mut dues = vec![format!(
            "min(f.occurred_at) filter (where f.occurred_at > {NOW})"
        )];
        dues.extend(self.dues.iter().cloned());
        let due = dues.join(",\n             ");
        let since = match &self.reach {
            Reach::Since(_, older) => format!(" and f.occurred_at > {NOW} - {older}"),
            Reach::Nothing | Reach::Everything => String::new(),
        };
        match whom {
            // Customer by customer, by the index: PostgreSQL knows nothing of how many are given, takes them for one, and would make the
            // aggregates of all of them anew for each.
            Whom::Given => format!(
                "\n  left join lateral (\
                 \n    select {columns}           least(\n             {due}) as due\
                 \n      from {table} f\
                 \n     where f.tenant = {TENANT} and f.customer_id = any(c.customer_id || c.absorbed){since}\
                 \n  ) {alias} on true"
            ),
            // One pass over the table. The facts of those who were absorbed go to who goes on: few, found in a table that fits into memory.
            Whom::Anybody => format!(
                "\n  left join (\
                 \n    select coalesce(g.customer_id, f.customer_id) as customer_id,\n{columns}           least(\n             {due}) as due\
                 \n      from {table} f\
                 \n      left join (\
                 \n        select s.customer_id, unnest(s.absorbed) as absorbed_id\
                 \n          from customer_fact s\
                 \n         where s.tenant = {TENANT} and s.survivor_id is null and s.absorbed <> '{{}}'\
                 \n      ) g on g.absorbed_id = f.customer_id\
                 \n     where f.tenant = {TENANT} and {}{since}\
                 \n     group by 1\
                 \n  ) {alias} on {alias}.customer_id = c.customer_id",
                anybody("coalesce(g.customer_id, f.customer_id)")
            ),
        }
    }
}

impl Reach {
    fn extend(&mut self, older: Option<&(i64, String)>) {
        match (&self, older) {
            (Self::Everything, _) => {}
            (Self::Since(micros, _), Some((length, _))) if micros >= length => {}
            (Self::Nothing | Self::Since(..), Some((length, parameter))) => {
                *self = Self::Since(*length, parameter.clone());
            }
            (Self::Nothing | Self::Since(..), None) => *self = Self::Everything,
        }
    }
}
