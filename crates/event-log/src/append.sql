with
stream as materialized (
    select * from unnest($1::smallint[], $2::text[], $3::uuid[], $4::bigint[]) with ordinality
        as t (partition, tenant, stream_id, expected, ordinal)
),
command as materialized (
    select * from unnest($5::smallint[], $6::text[], $7::text[], $8::bytea[], $9::bytea[], $10::smallint[], $11::uuid[],
        $12::bigint[], $13::bigint[]) with ordinality
        as t (partition, tenant, request_id, fingerprint, response, stream_partition, stream_id, stream_version,
            retention_seconds, ordinal)
),
new_key as materialized (
    select * from unnest($14::smallint[], $15::text[], $16::uuid[], $17::bytea[]) with ordinality
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
-- Streams that are not at the version that the write expects. Where a conflict fails the statement anyway, that a stream is further than expected
-- is left for the unique key of its versions to find; that it is not as far is not.
stale as materialized (
    select s.ordinal from stream s
    -- With a limit, so that each is one descent of the index and never a hash of the whole table.
    left join lateral (
        select e.version from event e
        where s.expected > 0 and e.partition = s.partition and e.tenant = s.tenant and e.stream_id = s.stream_id
            and e.version = s.expected
        limit 1
    ) last on true
    left join lateral (
        select e.version from event e
        where not $31::boolean and e.partition = s.partition and e.tenant = s.tenant and e.stream_id = s.stream_id
            and e.version = s.expected + 1
        limit 1
    ) next on true
    -- Two rows of one stream: neither follows the other.
    left join lateral (
        select o.ordinal from stream o
        where not $31::boolean and o.partition = s.partition and o.tenant = s.tenant and o.stream_id = s.stream_id
            and o.ordinal < s.ordinal
        limit 1
    ) earlier on true
    where (s.expected > 0 and last.version is null) or next.version is not null or earlier.ordinal is not null
),
keyed as (
    insert into subject_key (partition, tenant, subject, wrapped_key)
    select partition, tenant, subject, wrapped_key from new_key
    on conflict do nothing
    returning partition, tenant, subject
),
settled as materialized (
    select
        (select count(*) from claimed) = cardinality($5::smallint[])
        and not exists (select from stale)
        and (select count(*) from keyed) = cardinality($14::smallint[]) as yes
),
-- In ascending order, whatever the plan. A statement that is a transaction of its own does without: its plan goes through the heads in the order given,
-- and should it meet another's locks crosswise, it is simply tried again.
locked as materialized (
    select h.partition
    from unnest($18::smallint[]) as n (partition)
    join log_head h on h.partition = n.partition
    where not $31::boolean and (select yes from settled)
    order by h.partition
    for update of h
),
advance as (
    update log_head h set position = h.position + n.events
    from unnest($18::smallint[], $19::bigint[]) as n (partition, events)
    where h.partition = n.partition and (select yes from settled) and (select count(*) from locked) >= 0
    returning h.partition, h.position - n.events as base
),
written as (
    insert into event (partition, position, tenant, stream_id, version, event_id, type, schema_version, payload, metadata,
        occurred_at, recorded_at)
    select e.partition, a.base + e.nth, e.tenant, e.stream_id, e.version, e.event_id, e.type, e.schema_version, e.payload,
        e.metadata, e.occurred_at, now()
    from unnest($20::smallint[], $21::bigint[], $22::text[], $23::uuid[], $24::bigint[], $25::uuid[], $26::text[],
        $27::smallint[], $28::bytea[], $29::bytea[], $30::timestamptz[])
        as e (partition, nth, tenant, stream_id, version, event_id, type, schema_version, payload, metadata, occurred_at)
    join advance a on a.partition = e.partition
)
select
    (select yes from settled) as settled,
    -- Division by zero is how a statement that is a transaction of its own takes back what it has done.
    1 / (select count(*) from settled where yes or not $31::boolean) as kept,
    -- What took effect is told only when something did not: the caller then finds out by what is missing.
    case when not (select yes from settled) then array(select ordinal from stale) end as stale,
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
