-- Whoever turned out to be one and the same as another customer. Interactions keep the id under which they were told; whoever asks for one of a
-- group sees all of it. Both sides are written by the events of the customer of the row alone, so that the order of events of two partitions
-- does not matter.

-- Who goes on for this one.
alter table known_customer add column survivor_id uuid;
-- Who came to this one.
alter table known_customer add column absorbed uuid[] not null default '{}';
