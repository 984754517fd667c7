-- When a customer was merged into another and when that was undone, as history: nobody is contacted under an id that is not their own any more.
create table merger (
    partition smallint not null,
    tenant text not null,
    customer_id uuid not null,
    effective_at timestamptz not null,
    -- In the customers log; of two changes at the same moment, the later one counts.
    position bigint not null,
    -- Who goes on; null from when it was undone.
    survivor_id uuid,
    primary key (partition, tenant, customer_id, effective_at, position)
);

-- Whose purchases count with a customer's own now. Purchases keep the id under which they were told, so that a merger that is undone gives
-- them back by itself.
create table absorbed (
    partition smallint not null,
    tenant text not null,
    customer_id uuid not null,
    absorbed_id uuid not null,
    -- Where the purchases of the one who came are found.
    absorbed_partition smallint not null,
    primary key (partition, tenant, customer_id, absorbed_id)
);

-- Of whom a consent was told, where that was somebody merged into the customer: when the two are separated, it never counted.
alter table consent add column original_customer_id uuid;
