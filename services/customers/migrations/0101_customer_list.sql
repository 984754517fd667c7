-- The customers of each tenant, for lists: what ListCustomers pages through. Rebuilt from the log at any time.
-- Names stand here in clear, so that a list need not open them one by one; erasing a customer wipes them.
create table customer_list (
    partition smallint not null,
    tenant text not null,
    customer_id uuid not null,
    -- The number of CustomerKind.
    kind smallint not null,
    given_name text,
    family_name text,
    legal_name text,
    locale text,
    time_zone text,
    country_code text,
    registered_at timestamptz not null,
    -- Version of the customer's stream.
    version bigint not null,
    primary key (partition, tenant, customer_id)
);

-- Order of the list.
create index customer_list_order on customer_list (tenant, registered_at, customer_id);
