-- @include prelude pending
-- A dead job runs again with fresh attempts; if it ever died, isolated. ARGV: id. Reply: 1 or 0
local key = '$job:' .. ARGV[1]
local f = redis.pcall('HMGET', key, 'state', 'priority', 'enqueued_at', 'deaths', 'settled')
if f[1] ~= 'dead' then return 0 end
local isolate = whole(f[4], COUNT_MOST, 0) > 0
redis.call('ZREM', '$dead', ARGV[1])
redis.call('HSET', key, 'state', 'pending', 'attempts', 0, 'isolated_deaths', 0, 'finished_at', 0, 'isolate', isolate and 1 or 0)
redis.call('HDEL', key, 'poison', 'error') -- the history keeps it
if f[5] == '0' then redis.call('HDEL', key, 'settled') end -- the next ack may leave no mark of its own
redis.call('ZADD', '$pending', pending_score(f[2], f[3], isolate), ARGV[1])
count('added', f[2], 1)
wake(1)
return 1
