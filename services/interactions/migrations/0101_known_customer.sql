-- Who the customers are, as the customers log tells it: a purchase of nobody is refused. Holds nothing personal.
create table known_customer (
    partition smallint not null,
    tenant text not null,
    customer_id uuid not null,
    registered_at timestamptz not null,
    primary key (partition, tenant, customer_id)
);
