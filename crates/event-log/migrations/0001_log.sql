-- The log of one service. `partition` leads every key, so that it can be the distribution column of a sharded PostgreSQL.
-- Nothing here relies on sequences, advisory locks, LISTEN/NOTIFY, transaction ids, triggers or cross-partition foreign keys.

-- Raised when the log was restored to an earlier point; positions of different epochs do not compare.
create table log_epoch (
    singleton boolean primary key default true check (singleton),
    epoch integer not null
);
insert into log_epoch (epoch) values (1);

-- The last position of each partition. Updated last in an appending transaction, so that positions are gapless and in commit order.
create table log_head (
    partition smallint primary key check (partition between 0 and 63),
    position bigint not null
);
insert into log_head (partition, position) select n, 0 from generate_series(0, 63) as n;

-- The last version of each stream: what an append at an expected version is checked against.
create table stream_head (
    partition smallint not null,
    tenant text not null,
    stream_id uuid not null,
    version bigint not null,
    type text not null,
    primary key (partition, tenant, stream_id)
);

-- The events. Rows are never updated.
create table event (
    partition smallint not null,
    position bigint not null,
    tenant text not null,
    stream_id uuid not null,
    version bigint not null,
    event_id uuid not null,
    type text not null,
    schema_version smallint not null,
    payload bytea not null,
    metadata bytea not null,
    occurred_at timestamptz not null,
    recorded_at timestamptz not null,
    primary key (partition, position),
    unique (partition, tenant, stream_id, version)
);

-- One row for each command that came with a request id, or for each natural key of what another system reported: the same id
-- with the same content is answered from here. It never holds anything personal. Rows without expires_at are kept for ever.
create table command_log (
    partition smallint not null,
    tenant text not null,
    request_id text not null,
    fingerprint bytea not null,
    response bytea not null,
    stream_partition smallint,
    stream_id uuid,
    stream_version bigint,
    recorded_at timestamptz not null,
    expires_at timestamptz,
    primary key (partition, tenant, request_id)
);
create index command_log_expiry on command_log (expires_at) where expires_at is not null;

-- Folded state of long streams, so that loading stays short. Can be dropped at any time.
create table snapshot (
    partition smallint not null,
    tenant text not null,
    stream_id uuid not null,
    version bigint not null,
    schema_version smallint not null,
    state bytea not null,
    primary key (partition, tenant, stream_id)
);

-- How far a projection has come in each partition, of its own log or of another service's. Moves in the transaction that writes
-- the rows. Whoever holds the lease works; epoch fences an owner that lost it. source_sequence is where the stream on
-- the bus had this position: a hint where to read on, not a truth.
create table checkpoint (
    partition smallint not null,
    projection text not null,
    version integer not null,
    position bigint not null default 0,
    source_epoch integer not null default 0,
    source_sequence bigint not null default 0,
    owner uuid,
    epoch bigint not null default 0,
    lease_until timestamptz,
    primary key (partition, projection, version)
);

-- Streams that a live projection could not apply: the failed event, and what waits behind it.
create table parked (
    partition smallint not null,
    projection text not null,
    version integer not null,
    tenant text not null,
    stream_id uuid not null,
    position bigint not null,
    error text not null,
    parked_at timestamptz not null,
    primary key (partition, projection, version, tenant, stream_id, position)
);

-- What is to happen at a moment, at most once for each key.
create table timer (
    partition smallint not null,
    tenant text not null,
    key text not null,
    due_at timestamptz not null,
    command bytea not null,
    primary key (partition, tenant, key)
);
create index timer_due on timer (partition, due_at);

-- The data key of each subject, wrapped by the master key. A destroyed key leaves its row with wrapped_key null, so that it
-- is not made anew. The nil subject holds the tenant's own key.
create table subject_key (
    partition smallint not null,
    tenant text not null,
    subject uuid not null,
    wrapped_key bytea,
    created_at timestamptz not null default now(),
    destroyed_at timestamptz,
    primary key (partition, tenant, subject)
);
