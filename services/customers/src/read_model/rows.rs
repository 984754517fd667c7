//! The table `customer_list`: one statement for any number of rows.

use std::collections::{BTreeMap, BTreeSet};

use aggregate::{CustomerId, Partition, TenantId};
use sqlx::{PgConnection, PgPool, Postgres, QueryBuilder, Row as _, postgres::PgRow};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::{Key, ListedCustomer};
use crate::{
    codec::{decode_details, encode_details},
    domain::{
        Label, Name,
        lifecycle::Lifecycle,
        office::{Office, Owner},
        person::BirthDate,
        place::{Country, Locale, Region, TimeZone},
        profile::Profile,
    },
    wire,
};

/// What is read of a row, which the statement calls `list`.
pub(super) const COLUMNS: &str = "list.customer_id, list.kind, list.given_name, list.family_name, list.legal_name, list.locale, \
    list.time_zone, list.country_code, list.registered_at, list.version, list.affiliation, list.stage, list.stage_reason, \
    list.stage_since, list.owner_id, list.owner_role, list.owner_since, list.team, list.team_since, list.erased_at, list.survivor_id, list.details";

/// The rows of some customers of a tenant, as far as they have one, in no order.
pub(crate) async fn some(
    pool: &PgPool,
    tenant: &TenantId,
    customers: &[CustomerId],
) -> Result<Vec<ListedCustomer>, sqlx::Error> {
    let partitions: Vec<i16> = customers
        .iter()
        .map(|customer| partition_of(tenant, *customer))
        .collect();
    let ids: Vec<Uuid> = customers.iter().map(|customer| customer.0).collect();
    let mut sql = QueryBuilder::<Postgres>::new("select ");
    sql.push(COLUMNS)
        .push(" from unnest(")
        .push_bind(partitions);
    sql.push("::smallint[], ").push_bind(ids);
    sql.push("::uuid[]) as wanted (partition, customer_id) join customer_list list using (partition, customer_id)");
    sql.push(" where list.tenant = ")
        .push_bind(tenant.as_str().to_owned());
    let rows = sql.build().fetch_all(pool).await?;
    rows.iter().map(listed).collect()
}

/// The rows of these customers, as far as they have one.
pub(super) async fn load(
    connection: &mut PgConnection,
    keys: &BTreeSet<Key>,
) -> Result<BTreeMap<Key, ListedCustomer>, sqlx::Error> {
    let mut partitions = Vec::with_capacity(keys.len());
    let mut tenants = Vec::with_capacity(keys.len());
    let mut customers = Vec::with_capacity(keys.len());
    for (tenant, customer) in keys {
        partitions.push(partition_of(tenant, *customer));
        tenants.push(tenant.as_str());
        customers.push(customer.0);
    }
    let rows = sqlx::query(
        "select tenant, customer_id, kind, given_name, family_name, legal_name, locale, time_zone, country_code, registered_at,
            version, affiliation, stage, stage_reason, stage_since, owner_id, owner_role, owner_since, team, team_since, erased_at,
            survivor_id, details
         from unnest($1::smallint[], $2::text[], $3::uuid[]) as wanted (partition, tenant, customer_id)
         join customer_list using (partition, tenant, customer_id)",
    )
    .bind(partitions)
    .bind(tenants)
    .bind(customers)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let tenant = TenantId::parse(row.try_get("tenant")?)
                .map_err(|error| sqlx::Error::Decode(error.into()))?;
            let listed = listed(row)?;
            Ok(((tenant, listed.customer), listed))
        })
        .collect()
}

#[derive(Default)]
struct Columns<'a> {
    partition: Vec<i16>,
    tenant: Vec<&'a str>,
    customer_id: Vec<Uuid>,
    kind: Vec<i16>,
    given_name: Vec<Option<&'a str>>,
    family_name: Vec<Option<&'a str>>,
    legal_name: Vec<Option<&'a str>>,
    locale: Vec<Option<&'a str>>,
    time_zone: Vec<Option<&'a str>>,
    country_code: Vec<Option<&'a str>>,
    registered_at: Vec<OffsetDateTime>,
    version: Vec<i64>,
    affiliation: Vec<i16>,
    stage: Vec<i16>,
    stage_reason: Vec<Option<&'a str>>,
    stage_since: Vec<OffsetDateTime>,
    owner_id: Vec<Option<Uuid>>,
    owner_role: Vec<Option<&'a str>>,
    owner_since: Vec<Option<OffsetDateTime>>,
    team: Vec<Option<&'a str>>,
    team_since: Vec<Option<OffsetDateTime>>,
    erased_at: Vec<Option<OffsetDateTime>>,
    survivor_id: Vec<Option<Uuid>>,
    details: Vec<Vec<u8>>,
    birth_date: Vec<Option<Date>>,
    gender: Vec<Option<i16>>,
    income_band: Vec<Option<&'a str>>,
    sector: Vec<Option<&'a str>>,
    company_size: Vec<Option<i16>>,
    region_code: Vec<Option<&'a str>>,
}

impl<'a> Columns<'a> {
    fn add(&mut self, tenant: &'a TenantId, listed: &'a ListedCustomer) {
        let profile = &listed.profile;
        self.partition.push(partition_of(tenant, listed.customer));
        self.tenant.push(tenant.as_str());
        self.customer_id.push(listed.customer.0);
        self.kind.push(small(wire::kind(listed.kind).into()));
        self.given_name
            .push(profile.given_name.as_ref().map(Name::as_str));
        self.family_name
            .push(profile.family_name.as_ref().map(Name::as_str));
        self.legal_name
            .push(profile.legal_name.as_ref().map(Name::as_str));
        self.locale
            .push(profile.locale.as_ref().map(Locale::as_str));
        self.time_zone
            .push(profile.time_zone.as_ref().map(TimeZone::as_str));
        self.country_code
            .push(profile.country.as_ref().map(Country::as_str));
        self.registered_at.push(listed.registered_at);
        self.version.push(listed.version);
        self.affiliation
            .push(small(wire::affiliation(listed.affiliation).into()));
        let lifecycle = &listed.lifecycle;
        self.stage.push(small(wire::stage(lifecycle.stage).into()));
        self.stage_reason
            .push(lifecycle.reason.as_ref().map(Label::as_str));
        self.stage_since.push(lifecycle.since);
        let office = &listed.office;
        let owner = office.owner.as_ref();
        self.owner_id.push(owner.map(|owner| owner.employee.0));
        self.owner_role.push(owner.map(|owner| owner.role.as_str()));
        self.owner_since.push(office.owner_since);
        self.team.push(office.team.as_ref().map(Label::as_str));
        self.team_since.push(office.team_since);
        self.erased_at.push(listed.erased_at);
        self.survivor_id
            .push(listed.survivor.map(|survivor| survivor.0));
        self.details.push(encode_details(profile));
        self.birth_date
            .push(profile.birth_date.map(BirthDate::date));
        self.gender
            .push(profile.gender.map(|one| small(wire::gender(one).into())));
        self.income_band
            .push(profile.income_band.as_ref().map(Label::as_str));
        self.sector.push(profile.sector.as_ref().map(Label::as_str));
        self.company_size.push(
            profile
                .company_size
                .map(|size| small(wire::company_size(size).into())),
        );
        self.region_code
            .push(profile.region.as_ref().map(Region::as_str));
    }
}

pub(super) async fn save(
    connection: &mut PgConnection,
    customers: &BTreeMap<Key, ListedCustomer>,
) -> Result<(), sqlx::Error> {
    let mut columns = Columns::default();
    for ((tenant, _), listed) in customers {
        columns.add(tenant, listed);
    }
    sqlx::query(
        "insert into customer_list (partition, tenant, customer_id, kind, given_name, family_name, legal_name, locale, time_zone,
            country_code, registered_at, version, affiliation, stage, stage_reason, stage_since, owner_id, owner_role, owner_since,
            team, team_since, erased_at, survivor_id, details, birth_date, gender, income_band, sector, company_size, region_code)
         select * from unnest($1::smallint[], $2::text[], $3::uuid[], $4::smallint[], $5::text[], $6::text[], $7::text[],
            $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::bigint[], $13::smallint[], $14::smallint[], $15::text[],
            $16::timestamptz[], $17::uuid[], $18::text[], $19::timestamptz[], $20::text[], $21::timestamptz[],
            $22::timestamptz[], $23::uuid[], $24::bytea[], $25::date[], $26::smallint[], $27::text[], $28::text[], $29::smallint[],
            $30::text[])
         on conflict (partition, tenant, customer_id) do update set
            given_name = excluded.given_name, family_name = excluded.family_name, legal_name = excluded.legal_name,
            locale = excluded.locale, time_zone = excluded.time_zone, country_code = excluded.country_code,
            version = excluded.version, stage = excluded.stage, stage_reason = excluded.stage_reason,
            stage_since = excluded.stage_since, owner_id = excluded.owner_id, owner_role = excluded.owner_role,
            owner_since = excluded.owner_since, team = excluded.team, team_since = excluded.team_since,
            erased_at = excluded.erased_at, survivor_id = excluded.survivor_id, details = excluded.details,
            birth_date = excluded.birth_date, gender = excluded.gender, income_band = excluded.income_band,
            sector = excluded.sector, company_size = excluded.company_size, region_code = excluded.region_code",
    )
    .bind(columns.partition)
    .bind(columns.tenant)
    .bind(columns.customer_id)
    .bind(columns.kind)
    .bind(columns.given_name)
    .bind(columns.family_name)
    .bind(columns.legal_name)
    .bind(columns.locale)
    .bind(columns.time_zone)
    .bind(columns.country_code)
    .bind(columns.registered_at)
    .bind(columns.version)
    .bind(columns.affiliation)
    .bind(columns.stage)
    .bind(columns.stage_reason)
    .bind(columns.stage_since)
    .bind(columns.owner_id)
    .bind(columns.owner_role)
    .bind(columns.owner_since)
    .bind(columns.team)
    .bind(columns.team_since)
    .bind(columns.erased_at)
    .bind(columns.survivor_id)
    .bind(columns.details)
    .bind(columns.birth_date)
    .bind(columns.gender)
    .bind(columns.income_band)
    .bind(columns.sector)
    .bind(columns.company_size)
    .bind(columns.region_code)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) fn partition_of(tenant: &TenantId, customer: CustomerId) -> i16 {
    i16::from(Partition::of_customer(tenant, customer).number())
}

/// The number of an enum.
fn small(number: i32) -> i16 {
    i16::try_from(number).expect("the values of an enum are few")
}

/// The value of an enum by its number.
fn known<T>(
    row: &PgRow,
    column: &str,
    parse: impl FnOnce(i32) -> Option<T>,
) -> Result<T, sqlx::Error> {
    let number: i16 = row.try_get(column)?;
    parse(i32::from(number))
        .ok_or_else(|| sqlx::Error::Decode(format!("{number} is no {column} of a customer").into()))
}

pub(super) fn listed(row: &PgRow) -> Result<ListedCustomer, sqlx::Error> {
    let text = |column: &str| row.try_get::<Option<String>, _>(column);
    let moment = |column: &str| row.try_get::<Option<OffsetDateTime>, _>(column);
    let employee: Option<Uuid> = row.try_get("owner_id")?;
    let owner = employee.zip(text("owner_role")?);
    let mut profile = Profile {
        given_name: text("given_name")?.map(Name::from_stored),
        family_name: text("family_name")?.map(Name::from_stored),
        legal_name: text("legal_name")?.map(Name::from_stored),
        locale: text("locale")?.map(Locale::from_stored),
        time_zone: text("time_zone")?.map(TimeZone::from_stored),
        country: text("country_code")?.map(Country::from_stored),
        ..Profile::default()
    };
    let details: Vec<u8> = row.try_get("details")?;
    decode_details(&details, &mut profile).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(ListedCustomer {
        customer: CustomerId(row.try_get("customer_id")?),
        kind: known(row, "kind", wire::parse_kind)?,
        affiliation: known(row, "affiliation", wire::parse_affiliation)?,
        profile,
        registered_at: row.try_get("registered_at")?,
        lifecycle: Lifecycle {
            stage: known(row, "stage", wire::parse_stage)?,
            reason: text("stage_reason")?.map(Label::from_stored),
            since: row.try_get("stage_since")?,
        },
        office: Office {
            owner: owner.map(|(employee, role)| Owner {
                employee: CustomerId(employee),
                role: Label::from_stored(role),
            }),
            owner_since: moment("owner_since")?,
            team: text("team")?.map(Label::from_stored),
            team_since: moment("team_since")?,
        },
        version: row.try_get("version")?,
        erased_at: moment("erased_at")?,
        survivor: row
            .try_get::<Option<Uuid>, _>("survivor_id")?
            .map(CustomerId),
    })
}
