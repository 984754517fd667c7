-- The campaigns of a tenant, to be listed newest first, and to find those whose decisions are still to be made.
create table campaign (
    partition smallint not null,
    tenant text not null,
    campaign_id uuid not null,
    name text not null,
    goal smallint not null,
    segment_id uuid not null,
    offer_name text not null,
    offer_description text not null,
    offer_cost_minor bigint not null,
    offer_currency_code text not null,
    channel smallint not null,
    purpose smallint not null,
    holdout_share double precision not null,
    -- The bits of an unsigned number.
    seed bigint not null,
    state smallint not null,
    effective_at timestamptz,
    retrospective boolean not null default false,
    segment_rule_version integer,
    created_at timestamptz not null,
    primary key (partition, tenant, campaign_id)
);
create index campaign_newest on campaign (tenant, created_at desc, campaign_id desc);
create index campaign_deciding on campaign (tenant, campaign_id) where state = 2;

-- What was decided for whom, by campaign: the pages of decisions and the arms of an outcome.
create table decision (
    partition smallint not null,
    tenant text not null,
    campaign_id uuid not null,
    customer_id uuid not null,
    verdict smallint not null,
    refusal_reason smallint not null,
    consent_event_id uuid,
    event_id uuid not null,
    decided_at timestamptz not null,
    primary key (partition, tenant, campaign_id, customer_id)
);
create index decision_page on decision (tenant, campaign_id, customer_id);

-- How many decisions of each kind a campaign has, so that they need not be counted for every answer. Kept apart by partition, so
-- that those who work on different partitions never wait for each other.
create table decision_count (
    partition smallint not null,
    tenant text not null,
    campaign_id uuid not null,
    verdict smallint not null,
    refusal_reason smallint not null,
    customers bigint not null,
    primary key (partition, tenant, campaign_id, verdict, refusal_reason)
);
create index decision_count_campaign on decision_count (tenant, campaign_id);
