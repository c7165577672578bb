-- @include prelude
-- Counts, in constant time.
--
-- Reply: {now ms, last token, birth µs, reason of the pause or false, paused by, paused since, workers, jobs pending,
-- leased, delayed, splitting, dead, done, score of the first pending job that is not isolated or '', counts as names
-- and values in turn, when somebody resumed last or 0}
local token, born, paused = unpack(call('MGET', prefix .. 'token', prefix .. 'born', prefix .. 'paused'))
local by, since, resumed = unpack(call('HMGET', prefix .. 'meta', 'paused_by', 'paused_at', 'resumed_at'))
local workers = call('ZCARD', prefix .. 'workers')
local reply = {now, tonumber(token or '0'), tonumber(born or '0'), paused, by or '', tonumber(since or '0'), workers}
for _, state in ipairs({'pending', 'leased', 'delayed', 'splitting', 'dead', 'done'}) do
  reply[#reply + 1] = call('ZCARD', prefix .. state)
end
local oldest = call('ZRANGEBYSCORE', prefix .. 'pending', 0, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
reply[#reply + 1] = oldest[2] or ''
reply[#reply + 1] = call('HGETALL', prefix .. 'counts')
reply[#reply + 1] = tonumber(resumed or '0')
return reply
