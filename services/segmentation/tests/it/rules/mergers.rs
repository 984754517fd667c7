//! Customers some of whom were merged into others, at random.

use std::collections::BTreeSet;

use proptest::prelude::*;
use sqlx::PgPool;
use uuid::Uuid;

use super::facts::{Customer, TENANT};

/// Who goes on for whom, and whom each has absorbed, by places in the population: as each customer's own events tell.
#[derive(Debug)]
pub(super) struct Mergers {
    survivors: Vec<Option<usize>>,
    absorbed: Vec<BTreeSet<usize>>,
    undone: usize,
}

/// Mergers of so many customers one after the other, some of them undone again.
pub(super) fn mergers(customers: usize) -> impl Strategy<Value = Mergers> {
    let steps = prop::collection::vec((0..customers, 0..customers), customers);
    steps.prop_map(move |steps| {
        let mut mergers = Mergers {
            survivors: vec![None; customers],
            absorbed: vec![BTreeSet::new(); customers],
            undone: 0,
        };
        for (one, other) in steps {
            mergers.step(one, other);
        }
        mergers
    })
}

impl Mergers {
    /// Merges the one into the other, or undoes its merger, as far as customers allows it.
    fn step(&mut self, one: usize, other: usize) {
        let mut group = self.absorbed[one].clone();
        group.insert(one);
        match self.survivors[one] {
            Some(survivor) if self.survivors[survivor].is_none() => {
                self.survivors[one] = None;
                self.absorbed[survivor].retain(|member| !group.contains(member));
                self.undone += 1;
            }
            None if one != other && self.survivors[other].is_none() => {
                self.survivors[one] = Some(other);
                self.absorbed[other].extend(group);
            }
            Some(_) | None => {}
        }
    }

    /// Writes them beside the customers. Gives those who go on, each with the facts of the whole group.
    pub(super) async fn apply(&self, pool: &PgPool, customers: &[Customer]) -> Vec<Customer> {
        let chains = self.survivors.iter().zip(&self.absorbed);
        let chains =
            chains.filter(|(survivor, absorbed)| survivor.is_some() && !absorbed.is_empty());
        assert!(
            chains.count() > 0 && self.undone > 0,
            "nobody was merged through another, or no merger was undone"
        );
        let mut going_on = Vec::new();
        for (place, customer) in customers.iter().enumerate() {
            let members = || {
                self.absorbed[place]
                    .iter()
                    .map(|member| &customers[*member])
            };
            sqlx::query(
                "update customer_fact set survivor_id = $3, absorbed = $4 where tenant = $1 and customer_id = $2",
            )
            .bind(TENANT)
            .bind(customer.id)
            .bind(self.survivors[place].map(|survivor| customers[survivor].id))
            .bind(members().map(|member| member.id).collect::<Vec<Uuid>>())
            .execute(pool)
            .await
            .unwrap();
            if self.survivors[place].is_none() {
                let mut whole = customer.clone();
                whole
                    .facts
                    .extend(members().flat_map(|member| member.facts.clone()));
                going_on.push(whole);
            }
        }
        going_on
    }
}
