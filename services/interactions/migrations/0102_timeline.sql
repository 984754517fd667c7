-- The interactions of each customer in the order in which they happened. A row is the event as it stands in the log, so that an
-- entry needs no second lookup; what is sealed there is sealed here. The key is also the order of the pages.
create table timeline (
    partition smallint not null,
    tenant text not null,
    customer_id uuid not null,
    occurred_at timestamptz not null,
    interaction_id uuid not null,
    position bigint not null,
    event_id uuid not null,
    type text not null,
    schema_version smallint not null,
    payload bytea not null,
    recorded_at timestamptz not null,
    primary key (partition, tenant, customer_id, occurred_at, interaction_id)
);
