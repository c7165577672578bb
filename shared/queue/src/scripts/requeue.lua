-- @include prelude constants read_job number pending_score count wake
-- A dead job runs again with fresh attempts; if it ever died, isolated.
--
-- ARGV[5] id
-- Reply: 1, or 0 if it is not dead
local id = ARGV[5]
local job = read_job(id, 'state', 'priority', 'enqueued_at', 'deaths')
if job.state ~= 'dead' then return 0 end
job.isolate = number(job.deaths, COUNT_MOST, 0) > 0 and '1' or '0'
local key = prefix .. 'job:' .. id
call('ZREM', prefix .. 'dead', id)
call('ZADD', prefix .. 'pending', pending_score(job), id)
call('HSET', key, 'state', 'pending', 'attempts', 0, 'isolated_deaths', 0, 'finished_at', 0, 'isolate', job.isolate)
call('HDEL', key, 'poison', 'error') -- the history keeps it
count('added', job.priority, 1)
wake(1)
return 1
