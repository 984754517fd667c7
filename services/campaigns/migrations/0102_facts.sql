-- Every consent and withdrawal that the customers log tells, as history: the gate asks for the state at a moment.
create table consent (
    partition smallint not null,
    tenant text not null,
    customer_id uuid not null,
    channel smallint not null,
    purpose smallint not null,
    effective_at timestamptz not null,
    -- In the customers log; of two changes at the same moment, the later one counts.
    position bigint not null,
    granted boolean not null,
    event_id uuid not null,
    primary key (partition, tenant, customer_id, channel, purpose, effective_at, position)
);

-- Every purchase and return that the interactions log tells: what an outcome is measured by.
create table purchase (
    partition smallint not null,
    tenant text not null,
    customer_id uuid not null,
    occurred_at timestamptz not null,
    purchase_id uuid not null,
    -- 1 a purchase, 2 a return.
    kind smallint not null,
    -- Positive for both.
    amount_minor bigint not null,
    currency_code text not null,
    primary key (partition, tenant, customer_id, occurred_at, purchase_id)
);
