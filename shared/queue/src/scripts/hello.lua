-- @include prelude pending token history leave collect_part
-- A worker registers (also after Redis came back). ARGV: worker, ttl ms, worker expiry ms, then fields
local worker, ttl, expiry = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local key = base .. 'worker:' .. worker
note_activity(redis.call('GET', base .. 'activity'), ttl)
redis.call('SET', base .. 'activity', now)
redis.call('SET', base .. 'born', int(now_us), 'NX')
held_until(ttl) -- notices a restart or a failover now, not when the first lease runs out
redis.call('ZADD', base .. 'workers', now, worker)
redis.call('HSETNX', key, 'started_at', now)
redis.call('HSET', key, 'seen_at', now, 'leases', count_lines(redis.call('GET', key .. ':leases')), unpack(ARGV, 4))
redis.call('PEXPIRE', key, expiry)
return tonumber(redis.call('GET', base .. 'born'))
