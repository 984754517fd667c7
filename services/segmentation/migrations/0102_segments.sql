-- Segments by name, from this service's own log. evaluated_version is the rule version that all customers were evaluated for: whoever
-- finds it behind rule_version finishes the evaluation.
create table segment (
    partition smallint not null,
    tenant text not null,
    segment_id uuid not null,
    name text not null,
    rule text not null,
    rule_version integer not null,
    evaluated_version integer not null default 0,
    primary key (partition, tenant, segment_id)
);
create index segment_by_name on segment (tenant, name);
create index segment_behind on segment (tenant) where evaluated_version < rule_version;

-- Present members. Moves in the transaction that appends SegmentEntered and SegmentLeft, because the next decision rests on it; the same
-- rows can be rebuilt from the log.
create table member (
    partition smallint not null,
    tenant text not null,
    customer_id uuid not null,
    segment_id uuid not null,
    rule_version integer not null,
    entered_at timestamptz not null,
    primary key (partition, tenant, customer_id, segment_id)
);
create index member_by_segment on member (tenant, segment_id, customer_id);
