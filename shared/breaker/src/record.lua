-- Adds one finished range to the fleet's tally and answers the window.
-- KEYS: 1 list of the last ranges as "rows unjudged", 2 hash of the run of equal verdicts
-- ARGV: ok, nok, unjudged, over_ranges, over_rows
local ok, nok, unjudged = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local over, over_rows = tonumber(ARGV[4]), tonumber(ARGV[5])
local rows = ok + nok + unjudged
if rows > 0 then
  redis.call('LPUSH', KEYS[1], rows .. ' ' .. unjudged)
end
if ok > 0 and nok > 0 then
  redis.call('HSET', KEYS[2], 'verdict', '', 'rows', 0)
elseif ok + nok > 0 then
  local verdict = ok > 0 and 'OK' or 'NOK'
  if redis.call('HGET', KEYS[2], 'verdict') == verdict then
    redis.call('HINCRBY', KEYS[2], 'rows', ok + nok)
  else
    redis.call('HSET', KEYS[2], 'verdict', verdict, 'rows', ok + nok)
  end
end
local ranges, all_rows, all_unjudged = 0, 0, 0
for _, entry in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  if ranges >= over and all_rows >= over_rows then break end
  local r, u = string.match(entry, '(%d+) (%d+)')
  ranges, all_rows, all_unjudged = ranges + 1, all_rows + r, all_unjudged + u
end
-- What is older than the window: each of its ranges has a row, so it is never longer than both numbers together.
redis.call('LTRIM', KEYS[1], 0, ranges - 1)
local same = redis.call('HMGET', KEYS[2], 'verdict', 'rows')
return { ranges, all_rows, all_unjudged, same[1] or '', tonumber(same[2]) or 0 }
