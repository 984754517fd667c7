-- When processing of what is known of a customer was restricted and when that was lifted, as history, like the consents.
create table restriction (
    partition smallint not null,
    tenant text not null,
    customer_id uuid not null,
    effective_at timestamptz not null,
    -- In the customers log; of two changes at the same moment, the later one counts.
    position bigint not null,
    restricted boolean not null,
    primary key (partition, tenant, customer_id, effective_at, position)
);
