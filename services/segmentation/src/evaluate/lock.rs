//! The locks under which customers are evaluated.

use sqlx::PgConnection;

use super::Evaluation;

/// Locks the customers in the order of their keys, whoever evaluates them and why.
pub(super) async fn lock(
    connection: &mut PgConnection,
    evaluations: &[Evaluation],
) -> Result<(), sqlx::Error> {
    if evaluations.is_empty() {
        return Ok(());
    }
    let (mut partitions, mut tenants, mut customers) = (Vec::new(), Vec::new(), Vec::new());
    for evaluation in evaluations {
        partitions.push(i16::from(evaluation.partition.number()));
        tenants.push(evaluation.tenant.as_str());
        customers.push(evaluation.customer.0);
    }
    for statement in [
        "insert into customer_due (partition, tenant, customer_id)
         select * from unnest($1::smallint[], $2::text[], $3::uuid[]) as t (partition, tenant, customer_id)
         order by partition, tenant, customer_id
         on conflict do nothing",
        "select from customer_due d
         join unnest($1::smallint[], $2::text[], $3::uuid[]) as t (partition, tenant, customer_id)
            on d.partition = t.partition and d.tenant = t.tenant and d.customer_id = t.customer_id
         order by d.partition, d.tenant, d.customer_id
         for update of d",
    ] {
        sqlx::query(statement)
            .bind(&partitions)
            .bind(&tenants)
            .bind(&customers)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
