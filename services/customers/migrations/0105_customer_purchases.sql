-- What is known here of a customer's purchases: by it the stage of life is reviewed.
create table customer_purchases (
    partition smallint not null,
    tenant text not null,
    customer_id uuid not null,
    first_at timestamptz not null,
    last_at timestamptz not null,
    -- Whether a further purchase leaves the stage as it is, so that nothing but silence has to be waited for. Says how far the review has come
    -- and follows from no event.
    settled boolean not null default false,
    primary key (partition, tenant, customer_id)
);
