-- Whoever turned out to be one and the same as another customer. Both are said twice, by an event of each of the two, and each row is written by
-- the events of its own customer alone: those of two partitions come in any order, and rows must not depend on it.

-- Who goes on for this one. Whoever has somebody is asked by no rule and is in no sample.
alter table customer_fact add column survivor_id uuid;
-- Whose purchases and contacts count with this one's own. Facts keep the id under which they were told, so that a merger that is undone gives
-- them back by itself.
alter table customer_fact add column absorbed uuid[] not null default '{}';
-- Few have absorbed anybody. By this index the few are found by those who came to them.
create index customer_fact_absorbed on customer_fact using gin (absorbed) where absorbed <> '{}';
