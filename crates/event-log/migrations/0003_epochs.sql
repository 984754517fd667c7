-- Where each epoch leaves the history before it: the last position of a partition that both have in common. Written in the
-- transaction that raises the epoch, so that whoever followed the older history learns how far back to go.
create table log_fork (
    partition smallint not null check (partition between 0 and 63),
    epoch integer not null,
    position bigint not null,
    primary key (partition, epoch)
);

-- Where a follower had applied events that the log it follows no longer has: its rows may still show them until the
-- projection is rebuilt. Lives in the follower's database; written in the transaction that moves the checkpoint back.
create table divergence (
    partition smallint not null,
    projection text not null,
    version integer not null,
    source text not null,
    old_epoch integer not null,
    new_epoch integer not null,
    from_position bigint not null,
    to_position bigint not null,
    found_at timestamptz not null default now(),
    primary key (partition, projection, version, old_epoch, new_epoch)
);
