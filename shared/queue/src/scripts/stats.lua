-- @include prelude
-- Reply: {now, token, born, paused or false, paused by, paused since, workers, pending, leased, delayed, splitting, dead, done,
-- score of the first ordinary pending job or '', counts as field, value, …}
local s = redis.call('MGET', '$token', '$born', '$paused', '$finished')
local who = redis.call('HMGET', '$meta', 'paused_by', 'paused_at')
local first = redis.call('ZRANGEBYSCORE', '$pending', 0, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local reply = {now, tonumber(s[1] or '0'), tonumber(s[2] or '0'), s[3], who[1] or '', tonumber(who[2] or '0'), redis.call('ZCARD', '$workers')}
for _, state in ipairs({'pending', 'leased', 'delayed', 'splitting', 'dead', 'done'}) do
  reply[#reply + 1] = redis.call('ZCARD', '$' .. state)
end
reply[#reply + 1] = first[2] or ''
local counts = redis.call('HGETALL', '$counts')
for priority, done in string.gmatch(s[4] or '', '\n(%d+) (%d+)') do
  counts[#counts + 1] = 'done:' .. priority
  counts[#counts + 1] = done
end
reply[#reply + 1] = counts
return reply
