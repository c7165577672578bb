-- @include prelude held_until
-- What jobs wait for.
--
-- Reply: {pending jobs that run isolated, when the first delayed job is due or 0, when it was enqueued or 0, leases
-- that ran out and are not taken back yet, until when they are kept or 0}
local isolated = call('ZCOUNT', prefix .. 'pending', '-inf', '(0')
local delayed = call('ZRANGE', prefix .. 'delayed', 0, 0, 'WITHSCORES')
local since = delayed[1] and redis.pcall('HGET', prefix .. 'job:' .. delayed[1], 'enqueued_at')
if type(since) ~= 'string' then since = nil end
local expired = call('ZCOUNT', prefix .. 'leased', '-inf', now)
local kept = expired > 0 and held_until(true) or 0
return {isolated, tonumber(delayed[2] or '0'), tonumber(since or '0') or 0, expired, math.floor(kept)}
