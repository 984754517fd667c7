-- Who goes on for somebody who was merged: such a row stays, unlisted, and is listed again when that is undone.
alter table customer_list add column survivor_id uuid;

-- Which identifier a block follows from, by the claim on it, so that it goes with that identifier and with no other; nil for the sound of a name. A rebuild
-- (version 3 of the projection) tells which it is of rows from before.
alter table customer_block
    add column claim_id uuid not null default '00000000-0000-0000-0000-000000000000',
    drop constraint customer_block_pkey,
    add primary key (partition, tenant, customer_id, block, claim_id);
