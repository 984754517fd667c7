-- The row of somebody who was erased stays, wiped and unlisted, so that what happens to its relations later finds it.
alter table customer_list add column erased_at timestamptz;
