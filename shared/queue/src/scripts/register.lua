-- @include prelude refuse_foreign note_activity held_until ask_leases
-- A worker joins the list, also after Redis came back.
--
-- ARGV[5] worker
-- ARGV[6] how long a silent worker stays listed, ms
-- ARGV[7] owner as of refuse_foreign.lua, or ''
-- ARGV[8…] free fields, names and values in turn
-- Reply: when this Redis first knew the queue, µs; or the error FOREIGN
local worker, expiry, owner = ARGV[5], tonumber(ARGV[6]), ARGV[7]
local worker_key = prefix .. 'worker:' .. worker
local foreign = refuse_foreign(owner, true)
if foreign then return foreign end
note_activity(call('GET', prefix .. 'activity'))
call('SET', prefix .. 'born', time_us, 'NX')
held_until() -- notices a restart or a failover now, not when the first lease runs out
call('ZADD', prefix .. 'workers', now, worker)
call('HSETNX', worker_key, 'started_at', now)
call('HSET', worker_key, 'seen_at', now, 'leases', ask_leases(worker, 'HLEN'), unpack(ARGV, 8))
call('PEXPIRE', worker_key, expiry)
return tonumber(call('GET', prefix .. 'born'))
