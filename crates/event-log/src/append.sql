with
stream as materialized (
    select * from unnest($1::smallint[], $2::text[], $3::uuid[], $4::bigint[], $5::bigint[], $6::text[]) with ordinality
        as t (partition, tenant, stream_id, expected, version, type, ordinal)
),
command as materialized (
    select * from unnest($7::smallint[], $8::text[], $9::text[], $10::bytea[], $11::bytea[], $12::smallint[], $13::uuid[],
        $14::bigint[], $15::bigint[]) with ordinality
        as t (partition, tenant, request_id, fingerprint, response, stream_partition, stream_id, stream_version,
            retention_seconds, ordinal)
),
new_key as materialized (
    select * from unnest($16::smallint[], $17::text[], $18::uuid[], $19::bytea[]) with ordinality
        as t (partition, tenant, subject, wrapped_key, ordinal)
),
claimed as (
    insert into command_log (partition, tenant, request_id, fingerprint, response, stream_partition, stream_id, stream_version,
        recorded_at, expires_at)
    select partition, tenant, request_id, fingerprint, response, stream_partition, stream_id, stream_version,
        now(), now() + retention_seconds * interval '1 second'
    from command
    on conflict (partition, tenant, request_id) do update set
        fingerprint = excluded.fingerprint, response = excluded.response, stream_partition = excluded.stream_partition,
        stream_id = excluded.stream_id, stream_version = excluded.stream_version, recorded_at = excluded.recorded_at,
        expires_at = excluded.expires_at
        where command_log.expires_at <= now()
    returning partition, tenant, request_id
),
opened as (
    insert into stream_head (partition, tenant, stream_id, version, type)
    select partition, tenant, stream_id, version, type from stream where expected = 0
    on conflict do nothing
    returning partition, tenant, stream_id
),
advanced as (
    update stream_head h set version = s.version
    from (select * from stream where expected > 0) s
    where h.partition = s.partition and h.tenant = s.tenant and h.stream_id = s.stream_id and h.version = s.expected
    returning s.ordinal
),
keyed as (
    insert into subject_key (partition, tenant, subject, wrapped_key)
    select partition, tenant, subject, wrapped_key from new_key
    on conflict do nothing
    returning partition, tenant, subject
),
settled as materialized (
    select
        (select count(*) from claimed) = cardinality($7::smallint[])
        and (select count(*) from opened) + (select count(*) from advanced) = cardinality($1::smallint[])
        and (select count(*) from keyed) = cardinality($16::smallint[]) as yes
),
locked as materialized (
    select h.partition, n.events
    from unnest($20::smallint[], $21::bigint[]) as n (partition, events)
    join log_head h on h.partition = n.partition
    where (select yes from settled)
    order by h.partition
    for update of h
),
advance as (
    update log_head h set position = h.position + l.events
    from locked l where h.partition = l.partition
    returning h.partition, h.position - l.events as base
),
written as (
    insert into event (partition, position, tenant, stream_id, version, event_id, type, schema_version, payload, metadata,
        occurred_at, recorded_at)
    select e.partition, a.base + e.nth, e.tenant, e.stream_id, e.version, e.event_id, e.type, e.schema_version, e.payload,
        e.metadata, e.occurred_at, now()
    from unnest($22::smallint[], $23::bigint[], $24::text[], $25::uuid[], $26::bigint[], $27::uuid[], $28::text[],
        $29::smallint[], $30::bytea[], $31::bytea[], $32::timestamptz[])
        as e (partition, nth, tenant, stream_id, version, event_id, type, schema_version, payload, metadata, occurred_at)
    join advance a on a.partition = e.partition
)
select
    (select yes from settled) as settled,
    -- Division by zero is how a statement that is a transaction of its own takes back what it has done.
    1 / (select count(*) from settled where yes or not $33::boolean) as kept,
    -- What took effect is told only when something did not: the caller then finds out by what is missing.
    case when not (select yes from settled) then array(
        select s.ordinal from opened o
        join stream s on s.partition = o.partition and s.tenant = o.tenant and s.stream_id = o.stream_id and s.expected = 0
        union all select ordinal from advanced
    ) end as streams,
    case when not (select yes from settled) then array(
        select c.ordinal from claimed d
        join command c on c.partition = d.partition and c.tenant = d.tenant and c.request_id = d.request_id
    ) end as commands,
    case when not (select yes from settled) then array(
        select k.ordinal from keyed d
        join new_key k on k.partition = d.partition and k.tenant = d.tenant and k.subject = d.subject
    ) end as keys,
    array(select partition from advance order by partition) as partitions,
    array(select base from advance order by partition) as bases,
    now() as recorded_at
