-- @include prelude pending leave
-- A job that waits to be split, or is dead, is done without running. ARGV: id, then result fields. Reply: 1 or 0
local id = ARGV[1]
local key = '$job:' .. id
local f = redis.pcall('HMGET', key, 'state', 'group', 'priority')
if f[1] ~= 'splitting' and f[1] ~= 'dead' then return 0 end
redis.call('ZREM', '$' .. f[1], id)
redis.call('ZADD', '$done', now, id)
redis.call('HSET', key, 'state', 'done', 'finished_at', now, unpack(ARGV, 2))
leave_group(f[2], id)
if f[1] == 'splitting' then count('left', f[3], 1) end
return 1
