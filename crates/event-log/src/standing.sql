-- Everything that is watched of one log, in one snapshot and one round trip. What could grow without end is counted up to a limit.
select 'head' as kind, '' as projection, 0 as version, partition, position as amount, null::timestamptz as since
from log_head
union all
select 'position', projection, version, partition, position, null
from checkpoint
where projection = any($2)
union all
select 'paused', projection, version, 0::smallint, count(*), min(paused_at)
from paused
group by projection, version
union all
select 'parked', projection, version, 0::smallint, count(*), null
from (
    select distinct projection, version, partition, tenant, stream_id from parked limit 10000
) as streams
group by projection, version
union all
select 'due', '', 0, 0::smallint, count(*), min(due.due_at)
from generate_series(0, 63) as n
cross join lateral (
    select t.due_at from timer t where t.partition = n and t.due_at <= $1 order by t.due_at limit 1000
) as due
