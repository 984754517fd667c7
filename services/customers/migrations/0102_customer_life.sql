-- What a list shows of a customer's life and of who looks after it. Rows that were there before there were such events get what holds
-- without any: external, a prospect since the registration, looked after by nobody.
alter table customer_list
    -- The number of CustomerAffiliation.
    add column affiliation smallint not null default 1,
    -- The number of LifecycleStage.
    add column stage smallint not null default 1,
    add column stage_reason text,
    add column stage_since timestamptz,
    add column owner_id uuid,
    add column owner_role text,
    add column owner_since timestamptz,
    add column team text,
    add column team_since timestamptz;

update customer_list set stage_since = registered_at;
alter table customer_list alter column stage_since set not null;
