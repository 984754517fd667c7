-- Of somebody who was erased nothing is recorded any more.
alter table known_customer add column erased_at timestamptz;
