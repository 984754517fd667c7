-- What is on its way to receivers of webhooks.

-- An endpoint as it was when it was first configured. What its tenant was stays: events of another tenant never go to the same name. Events
-- recorded before `since` are not sent; null for all of history. While it is stopped, events gather and nothing is sent.
create table webhook_endpoint (
    name text primary key,
    tenant text not null,
    since timestamptz,
    stopped_at timestamptz,
    -- Why, in our words.
    stopped_because text
);

-- The events of one customer (or, where there is none, of one stream) that wait for one endpoint go out one after the other. A row for each
-- such line while events wait in it. due_at is when its first event may be tried; whoever tries it moves that beyond the time that a try may
-- take, and proves by `claim` that nobody else has the line meanwhile. A line without due_at stands still: its first event is dead, and what is
-- behind it waits for an operator.
create table webhook_line (
    partition smallint not null,
    endpoint text not null,
    subject uuid not null,
    last_number bigint not null,
    due_at timestamptz,
    claim uuid,
    -- Of the first event.
    attempts integer not null default 0,
    first_attempt_at timestamptz,
    dead_at timestamptz,
    -- What came of the last try, in our words and without the receiver's.
    outcome text not null default '',
    primary key (partition, endpoint, subject)
);
create index webhook_line_due on webhook_line (partition, endpoint, due_at) where due_at is not null;

-- The events themselves, gone once they are delivered or skipped. The body is kept as it was made, so that every try sends the same bytes;
-- it is what analysts may read as well, so what is personal in it is sealed.
create table webhook_event (
    partition smallint not null,
    endpoint text not null,
    subject uuid not null,
    -- The order in the line.
    number bigint not null,
    event_id uuid not null,
    type text not null,
    body text not null,
    queued_at timestamptz not null,
    primary key (partition, endpoint, subject, number)
);
create index webhook_event_age on webhook_event (partition, endpoint, queued_at);
create index webhook_line_failed on webhook_line (partition, endpoint) where attempts > 0;
