//! Rows of facts: the profiles, purchases and touchpoints that rules and models look at. One statement for each table and batch.

use aggregate::{CustomerId, Partition, TenantId};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// What is known of a customer. Texts that are empty are missing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Profile {
    pub(crate) kind: &'static str,
    pub(crate) locale: Option<String>,
    pub(crate) time_zone: Option<String>,
    pub(crate) country: Option<String>,
    pub(crate) registered_at: OffsetDateTime,
}

/// Fields that changed: `Some(None)` was cleared.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ProfileChange {
    pub(crate) locale: Option<Option<String>>,
    pub(crate) time_zone: Option<Option<String>>,
    pub(crate) country: Option<Option<String>>,
}

impl ProfileChange {
    /// This change and then another.
    pub(crate) fn then(&mut self, later: Self) {
        self.locale = later.locale.or(self.locale.take());
        self.time_zone = later.time_zone.or(self.time_zone.take());
        self.country = later.country.or(self.country.take());
    }
}

impl Profile {
    /// The profile after a change.
    pub(crate) fn change(&mut self, change: ProfileChange) {
        if let Some(locale) = change.locale {
            self.locale = locale;
        }
        if let Some(time_zone) = change.time_zone {
            self.time_zone = time_zone;
        }
        if let Some(country) = change.country {
            self.country = country;
        }
    }
}

/// Who a row is about.
pub(crate) type Key = (Partition, TenantId, CustomerId);

#[derive(Default)]
struct Keys {
    partition: Vec<i16>,
    tenant: Vec<String>,
    customer_id: Vec<Uuid>,
}

impl Keys {
    fn push(&mut self, partition: Partition, tenant: &TenantId, customer: CustomerId) {
        self.partition.push(partition.number().into());
        self.tenant.push(tenant.as_str().to_owned());
        self.customer_id.push(customer.0);
    }
}

/// Writes the profiles of customers who were registered. Nobody is merged then: over a row that is there, all begins anew.
pub(crate) async fn register(
    connection: &mut PgConnection,
    profiles: impl IntoIterator<Item = (Key, Profile)>,
) -> Result<(), sqlx::Error> {
    let mut keys = Keys::default();
    let (mut kinds, mut locales, mut time_zones) = (Vec::new(), Vec::new(), Vec::new());
    let (mut countries, mut registered) = (Vec::new(), Vec::new());
    for ((partition, tenant, customer), profile) in profiles {
        keys.push(partition, &tenant, customer);
        kinds.push(profile.kind);
        locales.push(profile.locale);
        time_zones.push(profile.time_zone);
        countries.push(profile.country);
        registered.push(profile.registered_at);
    }
    if kinds.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into customer_fact (partition, tenant, customer_id, kind, locale, time_zone, country, registered_at)
         select * from unnest($1::smallint[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
            $8::timestamptz[])
         on conflict (partition, tenant, customer_id) do update set kind = excluded.kind, locale = excluded.locale,
            time_zone = excluded.time_zone, country = excluded.country, registered_at = excluded.registered_at,
            survivor_id = excluded.survivor_id, absorbed = excluded.absorbed",
    )
    .bind(keys.partition)
    .bind(keys.tenant)
    .bind(keys.customer_id)
    .bind(kinds)
    .bind(locales)
    .bind(time_zones)
    .bind(countries)
    .bind(registered)
    .execute(connection)
    .await?;
    Ok(())
}

/// Changes the profiles of customers who are there.
pub(crate) async fn change_profiles(
    connection: &mut PgConnection,
    changes: impl IntoIterator<Item = (Key, ProfileChange)>,
) -> Result<(), sqlx::Error> {
    let mut keys = Keys::default();
    let mut columns: [(Vec<bool>, Vec<Option<String>>); 3] = Default::default();
    for ((partition, tenant, customer), change) in changes {
        keys.push(partition, &tenant, customer);
        let fields = [change.locale, change.time_zone, change.country];
        for ((given, values), field) in columns.iter_mut().zip(fields) {
            given.push(field.is_some());
            values.push(field.flatten());
        }
    }
    let customers = keys.customer_id.len() as u64;
    if customers == 0 {
        return Ok(());
    }
    let [locale, time_zone, country] = columns;
    let changed = sqlx::query(
        "update customer_fact c set
            locale = case when d.locale_given then d.locale else c.locale end,
            time_zone = case when d.time_zone_given then d.time_zone else c.time_zone end,
            country = case when d.country_given then d.country else c.country end
         from unnest($1::smallint[], $2::text[], $3::uuid[], $4::boolean[], $5::text[], $6::boolean[], $7::text[],
            $8::boolean[], $9::text[])
            as d (partition, tenant, customer_id, locale_given, locale, time_zone_given, time_zone, country_given, country)
         where c.partition = d.partition and c.tenant = d.tenant and c.customer_id = d.customer_id",
    )
    .bind(keys.partition)
    .bind(keys.tenant)
    .bind(keys.customer_id)
    .bind(locale.0)
    .bind(locale.1)
    .bind(time_zone.0)
    .bind(time_zone.1)
    .bind(country.0)
    .bind(country.1)
    .execute(connection)
    .await?;
    // A profile changes after its registration, in one stream: a row that is not there was lost.
    if changed.rows_affected() == customers {
        Ok(())
    } else {
        Err(sqlx::Error::RowNotFound)
    }
}

/// A purchase or a return.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PurchaseFact {
    pub(crate) purchase: Uuid,
    pub(crate) is_return: bool,
    pub(crate) occurred_at: OffsetDateTime,
    pub(crate) amount_minor: i64,
    pub(crate) margin_minor: Option<i64>,
    pub(crate) currency: String,
    pub(crate) channel: Option<String>,
    pub(crate) categories: Vec<String>,
}

/// Writes purchases and returns. One that is there stays as it is: it is the only event of its stream.
pub(crate) async fn add_purchases(
    connection: &mut PgConnection,
    purchases: impl IntoIterator<Item = (Key, PurchaseFact)>,
) -> Result<(), sqlx::Error> {
    let mut keys = Keys::default();
    let (mut ids, mut kinds, mut occurred) = (Vec::new(), Vec::new(), Vec::new());
    let (mut amounts, mut margins, mut currencies) = (Vec::new(), Vec::new(), Vec::new());
    let (mut channels, mut categories) = (Vec::new(), Vec::new());
    for ((partition, tenant, customer), purchase) in purchases {
        keys.push(partition, &tenant, customer);
        ids.push(purchase.purchase);
        kinds.push(if purchase.is_return {
            "return"
        } else {
            "purchase"
        });
        occurred.push(purchase.occurred_at);
        amounts.push(purchase.amount_minor);
        margins.push(purchase.margin_minor);
        currencies.push(purchase.currency);
        channels.push(purchase.channel);
        // An array of arrays would have to be rectangular.
        categories.push(serde_json::Value::from(purchase.categories).to_string());
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into purchase_fact (partition, tenant, customer_id, purchase_id, kind, occurred_at, amount_minor, margin_minor,
            currency, channel, categories)
         select partition, tenant, customer_id, purchase_id, kind, occurred_at, amount_minor, margin_minor, currency, channel,
            array(select jsonb_array_elements_text(categories::jsonb))
         from unnest($1::smallint[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[], $7::bigint[],
            $8::bigint[], $9::text[], $10::text[], $11::text[])
            as p (partition, tenant, customer_id, purchase_id, kind, occurred_at, amount_minor, margin_minor, currency, channel,
                categories)
         on conflict do nothing",
    )
    .bind(keys.partition)
    .bind(keys.tenant)
    .bind(keys.customer_id)
    .bind(ids)
    .bind(kinds)
    .bind(occurred)
    .bind(amounts)
    .bind(margins)
    .bind(currencies)
    .bind(channels)
    .bind(categories)
    .execute(connection)
    .await?;
    Ok(())
}

/// A contact.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TouchpointFact {
    pub(crate) touchpoint: Uuid,
    pub(crate) channel: Option<String>,
    pub(crate) direction: Option<String>,
    pub(crate) occurred_at: OffsetDateTime,
}

/// Writes contacts. One that is there stays as it is.
pub(crate) async fn add_touchpoints(
    connection: &mut PgConnection,
    touchpoints: impl IntoIterator<Item = (Key, TouchpointFact)>,
) -> Result<(), sqlx::Error> {
    let mut keys = Keys::default();
    let (mut ids, mut channels) = (Vec::new(), Vec::new());
    let (mut directions, mut occurred) = (Vec::new(), Vec::new());
    for ((partition, tenant, customer), touchpoint) in touchpoints {
        keys.push(partition, &tenant, customer);
        ids.push(touchpoint.touchpoint);
        channels.push(touchpoint.channel);
        directions.push(touchpoint.direction);
        occurred.push(touchpoint.occurred_at);
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into touchpoint_fact (partition, tenant, customer_id, touchpoint_id, channel, direction, occurred_at)
         select * from unnest($1::smallint[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[])
         on conflict do nothing",
    )
    .bind(keys.partition)
    .bind(keys.tenant)
    .bind(keys.customer_id)
    .bind(ids)
    .bind(channels)
    .bind(directions)
    .bind(occurred)
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_later_change_of_a_field_wins_and_others_stay() {
        let text = |text: &str| Some(Some(text.to_owned()));
        let mut change = ProfileChange {
            locale: text("tr"),
            country: text("TR"),
            ..ProfileChange::default()
        };
        change.then(ProfileChange {
            locale: Some(None),
            time_zone: text("Europe/Istanbul"),
            ..ProfileChange::default()
        });
        let mut profile = Profile {
            kind: "person",
            locale: Some("en".to_owned()),
            time_zone: None,
            country: None,
            registered_at: datetime!(2026-01-01 0:00 UTC),
        };
        profile.change(change);
        assert_eq!(profile.locale, None);
        assert_eq!(profile.time_zone.as_deref(), Some("Europe/Istanbul"));
        assert_eq!(profile.country.as_deref(), Some("TR"));
    }
}
