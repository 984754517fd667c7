with
stream as materialized (
    select * from unnest($1::smallint[], $2::text[], $3::uuid[], $4::bigint[], $5::bigint[], $6::text[]) with ordinality
        as t (partition, tenant, stream_id, expected, version, type, ordinal)
),
new_event as materialized (
    select * from unnest($7::smallint[], $8::text[], $9::uuid[], $10::bigint[], $11::uuid[], $12::text[], $13::smallint[],
        $14::bytea[], $15::bytea[], $16::timestamptz[]) with ordinality
        as t (partition, tenant, stream_id, version, event_id, type, schema_version, payload, metadata, occurred_at, ordinal)
),
command as materialized (
    select * from unnest($17::smallint[], $18::text[], $19::text[], $20::bytea[], $21::bytea[], $22::smallint[], $23::uuid[],
        $24::bigint[], $25::bigint[]) with ordinality
        as t (partition, tenant, request_id, fingerprint, response, stream_partition, stream_id, stream_version,
            retention_seconds, ordinal)
),
new_key as materialized (
    select * from unnest($26::smallint[], $27::text[], $28::uuid[], $29::bytea[]) with ordinality
        as t (partition, tenant, subject, wrapped_key, ordinal)
),
claimed as (
    insert into command_log (partition, tenant, request_id, fingerprint, response, stream_partition, stream_id, stream_version,
        recorded_at, expires_at)
    select partition, tenant, request_id, fingerprint, response, stream_partition, stream_id, stream_version,
        now(), now() + retention_seconds * interval '1 second'
    from command order by partition, tenant, request_id
    on conflict (partition, tenant, request_id) do update set
        fingerprint = excluded.fingerprint, response = excluded.response, stream_partition = excluded.stream_partition,
        stream_id = excluded.stream_id, stream_version = excluded.stream_version, recorded_at = excluded.recorded_at,
        expires_at = excluded.expires_at
        where command_log.expires_at <= now()
    returning partition, tenant, request_id
),
opened as (
    insert into stream_head (partition, tenant, stream_id, version, type)
    select partition, tenant, stream_id, version, type
    from stream where expected = 0 order by partition, tenant, stream_id
    on conflict do nothing
    returning partition, tenant, stream_id
),
present as materialized (
    select h.partition, h.tenant, h.stream_id
    from stream_head h
    join stream s on s.partition = h.partition and s.tenant = h.tenant and s.stream_id = h.stream_id
    where s.expected > 0 and h.version = s.expected
    order by h.partition, h.tenant, h.stream_id
    for update of h
),
advanced as (
    update stream_head h set version = s.version
    from present p
    join stream s on s.partition = p.partition and s.tenant = p.tenant and s.stream_id = p.stream_id
    where h.partition = p.partition and h.tenant = p.tenant and h.stream_id = p.stream_id and h.version = s.expected
    returning s.ordinal
),
keyed as (
    insert into subject_key (partition, tenant, subject, wrapped_key)
    select partition, tenant, subject, wrapped_key from new_key order by partition, tenant, subject
    on conflict do nothing
    returning partition, tenant, subject
),
settled as materialized (
    select
        (select count(*) from claimed) = (select count(*) from command)
        and (select count(*) from opened) + (select count(*) from advanced) = (select count(*) from stream)
        and (select count(*) from keyed) = (select count(*) from new_key) as yes
),
locked as materialized (
    select h.partition from log_head h
    where (select yes from settled) and h.partition in (select partition from new_event)
    order by h.partition
    for update
),
advance as (
    update log_head h set position = h.position + n.events
    from (select partition, count(*) as events from new_event group by partition) n
    where h.partition = n.partition and h.partition in (select partition from locked)
    returning h.partition, h.position - n.events as base
),
written as (
    insert into event (partition, position, tenant, stream_id, version, event_id, type, schema_version, payload, metadata,
        occurred_at, recorded_at)
    select e.partition, a.base + row_number() over (partition by e.partition order by e.ordinal), e.tenant, e.stream_id,
        e.version, e.event_id, e.type, e.schema_version, e.payload, e.metadata, e.occurred_at, now()
    from new_event e join advance a on a.partition = e.partition
)
select
    array(
        select s.ordinal from opened o
        join stream s on s.partition = o.partition and s.tenant = o.tenant and s.stream_id = o.stream_id
        union all select ordinal from advanced
    ) as streams,
    array(
        select c.ordinal from claimed d
        join command c on c.partition = d.partition and c.tenant = d.tenant and c.request_id = d.request_id
    ) as commands,
    array(
        select k.ordinal from keyed d
        join new_key k on k.partition = d.partition and k.tenant = d.tenant and k.subject = d.subject
    ) as keys,
    array(select partition from advance order by partition) as partitions,
    array(select base from advance order by partition) as bases,
    now() as recorded_at
