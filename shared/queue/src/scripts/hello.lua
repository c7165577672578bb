-- @include prelude pending token history leave reclaim owner
-- A worker registers (also after Redis came back). ARGV: worker, worker expiry ms, owner, then fields
local worker, expiry = ARGV[1], tonumber(ARGV[2])
local key = '$worker:' .. worker
local foreign = refuse_other(ARGV[3], true)
if foreign then return foreign end
note_activity(redis.call('GET', '$activity'))
redis.call('SET', '$activity', now)
redis.call('SET', '$born', time_us, 'NX')
held_until() -- notices a restart or a failover now, not when the first lease runs out
redis.call('ZADD', '$workers', now, worker)
redis.call('HSETNX', key, 'started_at', now)
redis.call('HSET', key, 'seen_at', now, 'leases', count_lines(redis.call('GET', key .. ':leases')), unpack(ARGV, 4))
redis.call('PEXPIRE', key, expiry)
return tonumber(redis.call('GET', '$born'))
