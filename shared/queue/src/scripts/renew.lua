-- @include prelude constants note_activity read_job ask_leases
-- A worker lives: renews its leases, its reservation and its place in the list of workers.
--
-- ARGV[5] worker
-- ARGV[6] how long a silent worker stays listed, ms
-- ARGV[7] owner as of refuse_foreign.lua, or ''
-- ARGV[8…] id and token of each lease
-- Reply: {registered 0/1, leases that Redis holds for it, registered workers, {1 renewed or 0 lost, …}}
local worker, expiry, owner = ARGV[5], tonumber(ARGV[6]), ARGV[7]
local worker_key = prefix .. 'worker:' .. worker
local activity, reserved, stamped =
  unpack(call('MGET', prefix .. 'activity', worker_key .. ':reserved', prefix .. 'owner'))
note_activity(activity)

local lease_until, renewed = now + ttl_ms, {}
for i = 8, #ARGV, 2 do
  local id, token = ARGV[i], ARGV[i + 1]
  local job = read_job(id, 'state', 'token')
  local ours = job.state == 'leased' and job.token == token
  if ours then
    call('HSET', prefix .. 'job:' .. id, 'lease_until', lease_until)
    call('ZADD', prefix .. 'leased', 'XX', lease_until, id)
  end
  renewed[#renewed + 1] = ours and 1 or 0
end

local reservation = reserved and call('ZSCORE', prefix .. 'pending', reserved)
if reservation and tonumber(reservation) < FREE then
  call('ZADD', prefix .. 'pending', RESERVED + lease_until, reserved)
  call('PEXPIRE', worker_key .. ':reserved', ttl_ms)
end

local held, registered = ask_leases(worker, 'HLEN'), call('EXISTS', worker_key)
if owner ~= '' and stamped ~= owner then registered = 0 end -- it registers again and is told whose the queue is
if registered == 1 then
  call('ZADD', prefix .. 'workers', now, worker)
  call('HSET', worker_key, 'seen_at', now, 'leases', held)
  call('PEXPIRE', worker_key, expiry)
  -- those who fell silent; a few a call, so that the end of a large fleet does not hold everybody up
  local silent = call('ZRANGEBYSCORE', prefix .. 'workers', '-inf', now - expiry, 'LIMIT', 0, 100)
  if silent[1] then call('ZREM', prefix .. 'workers', unpack(silent)) end
end
return {registered, held, call('ZCARD', prefix .. 'workers'), renewed}
