-- Partitions of a projection that stand still, and why: all 64 of them when an operator asked for it; one when its next event is of
-- a type or schema version that is not known yet. The latter goes away by itself when the event can be applied.
create table paused (
    partition smallint not null check (partition between 0 and 63),
    projection text not null,
    version integer not null,
    paused_by text not null check (paused_by in ('operator', 'unknown_event')),
    -- Nothing personal.
    reason text not null,
    -- Where the event stands that is not known; 0 for an operator.
    position bigint not null default 0,
    paused_at timestamptz not null default now(),
    primary key (partition, projection, version)
);

-- Asked for by an operator: whoever holds the lease applies what is parked of the stream. A row at position 0 stands for no event; it
-- is there when a stream was parked by hand.
alter table parked add column replay boolean not null default false;
