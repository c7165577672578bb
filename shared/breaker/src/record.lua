-- Adds one finished range to the fleet's tally and answers the window.
-- KEYS[1] list of the last ranges, the latest first, each as 'rows unjudged'
-- KEYS[2] hash of the run of equal verdicts: verdict, rows
-- ARGV[1] rows that are OK
-- ARGV[2] rows that are NOK
-- ARGV[3] rows that could not be judged
-- ARGV[4] ranges that the window has at least
-- ARGV[5] rows that it has at least
-- Reply: {ranges, rows and unjudged rows of the window, verdict and rows of the run of equal ones: '' and 0 if none}
local ranges_key, same_key = KEYS[1], KEYS[2]
local ok, nok, unjudged = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local over_ranges, over_rows = tonumber(ARGV[4]), tonumber(ARGV[5])
local rows = ok + nok + unjudged
if rows > 0 then
  redis.call('LPUSH', ranges_key, rows .. ' ' .. unjudged)
end
if ok > 0 and nok > 0 then
  redis.call('HSET', same_key, 'verdict', '', 'rows', 0)
elseif ok + nok > 0 then
  local verdict = ok > 0 and 'OK' or 'NOK'
  if redis.call('HGET', same_key, 'verdict') == verdict then
    redis.call('HINCRBY', same_key, 'rows', ok + nok)
  else
    redis.call('HSET', same_key, 'verdict', verdict, 'rows', ok + nok)
  end
end
local ranges, all_rows, all_unjudged = 0, 0, 0
for _, entry in ipairs(redis.call('LRANGE', ranges_key, 0, -1)) do
  if ranges >= over_ranges and all_rows >= over_rows then break end
  local of_range, unjudged_of_range = string.match(entry, '(%d+) (%d+)')
  ranges, all_rows, all_unjudged = ranges + 1, all_rows + of_range, all_unjudged + unjudged_of_range
end
-- What is older than the window: each of its ranges has a row, so it is never longer than both numbers together.
redis.call('LTRIM', ranges_key, 0, ranges - 1)
local same = redis.call('HMGET', same_key, 'verdict', 'rows')
return {ranges, all_rows, all_unjudged, same[1] or '', tonumber(same[2]) or 0}
