-- @include prelude pending token history leave reclaim
-- ARGV: worker, worker expiry ms, owner, then id and token of each lease
-- Reply: {registered 0/1, leases that Redis holds for the worker, registered workers, {1 renewed, 0 lost, …}}
local worker = ARGV[1]
local worker_key = '$worker:' .. worker
local s = redis.call('MGET', '$activity', worker_key .. ':reserved', worker_key .. ':leases', '$owner')
note_activity(s[1])
redis.call('SET', '$activity', now)

local until_ms = now + TTL_MS
local renewed, scored = {}, {}
for i = 4, #ARGV, 2 do
  local key = '$job:' .. ARGV[i]
  local f = redis.pcall('HMGET', key, 'state', 'token') -- of nothing if somebody gave the key another type by hand: that lease is lost
  if f[1] == 'leased' and f[2] == ARGV[i + 1] then
    redis.call('HSET', key, 'lease_until', until_ms)
    scored[#scored + 1] = until_ms
    scored[#scored + 1] = ARGV[i]
    renewed[#renewed + 1] = 1
  else
    renewed[#renewed + 1] = 0
  end
end
if #scored > 0 then redis.call('ZADD', '$leased', 'XX', unpack(scored)) end

if s[2] then
  local score = redis.call('ZSCORE', '$pending', s[2])
  if score and tonumber(score) < FREE then
    redis.call('ZADD', '$pending', RESERVED + until_ms, s[2])
    redis.call('PEXPIRE', worker_key .. ':reserved', TTL_MS)
  end
end

local held = count_lines(s[3])
local registered = redis.call('EXISTS', worker_key)
if ARGV[3] ~= '' and s[4] ~= ARGV[3] then registered = 0 end -- it registers again and is told whose the queue is
if registered == 1 then
  local expiry = tonumber(ARGV[2])
  redis.call('ZADD', '$workers', now, worker)
  redis.call('HSET', worker_key, 'seen_at', now, 'leases', held)
  redis.call('PEXPIRE', worker_key, expiry)
  -- those who fell silent; a few a call, so that the end of a large fleet does not hold everybody up
  local silent = redis.call('ZRANGEBYSCORE', '$workers', '-inf', now - expiry, 'LIMIT', 0, 100)
  if #silent > 0 then redis.call('ZREM', '$workers', unpack(silent)) end
end
return {registered, held, redis.call('ZCARD', '$workers'), renewed}
