-- What the rules and the value models look at. All of it can be rebuilt from the logs of customers and interactions.

-- The profile of every customer that customers has registered. A purchase may arrive before it: then the purchase waits in its own
-- table, and the customer is evaluated for the first time when the registration arrives.
create table customer_fact (
    partition smallint not null,
    tenant text not null,
    customer_id uuid not null,
    kind text not null check (kind in ('person', 'business')),
    locale text,
    time_zone text,
    country text,
    registered_at timestamptz,
    primary key (partition, tenant, customer_id)
);
create index customer_fact_by_id on customer_fact (tenant, customer_id);

-- Purchases and returns, amounts positive in both.
create table purchase_fact (
    partition smallint not null,
    tenant text not null,
    purchase_id uuid not null,
    customer_id uuid not null,
    kind text not null check (kind in ('purchase', 'return')),
    occurred_at timestamptz not null,
    amount_minor bigint not null,
    margin_minor bigint,
    currency text not null,
    channel text,
    categories text[] not null default '{}',
    primary key (partition, tenant, purchase_id)
);
create index purchase_fact_by_customer on purchase_fact (tenant, customer_id, occurred_at);

create table touchpoint_fact (
    partition smallint not null,
    tenant text not null,
    touchpoint_id uuid not null,
    customer_id uuid not null,
    channel text,
    direction text,
    occurred_at timestamptz not null,
    primary key (partition, tenant, touchpoint_id)
);
create index touchpoint_fact_by_customer on touchpoint_fact (tenant, customer_id, occurred_at);

-- Up to which position of another service's log memberships have been evaluated. Facts that are rebuilt from zero are behind it until they
-- have caught up: until then they are stored and nothing is evaluated, so that a rebuild tells nobody anything twice. Not part
-- of what is rebuilt.
create table evaluated (
    partition smallint not null,
    source text not null,
    position bigint not null,
    primary key (partition, source)
);
-- Rows are there from the beginning: a reaction locks those of its batch first, so that whoever has to wait for reactions under way
-- can lock them too.
insert into evaluated (partition, source, position)
select n, source, 0 from generate_series(0, 63) as n, unnest(array['customers', 'interactions', 'segmentation']) as source;

-- One row for every customer that was ever evaluated. The row is the lock under which facts are read and memberships moved, so that two
-- evaluations of one customer never miss each other's facts; next_due is when an answer may change though nothing is recorded.
create table customer_due (
    partition smallint not null,
    tenant text not null,
    customer_id uuid not null,
    next_due timestamptz,
    primary key (partition, tenant, customer_id)
);
create index customer_due_next on customer_due (next_due) where next_due is not null;
