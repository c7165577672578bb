-- Commits an effect as ClickHouse's guarded UPDATE does: not over one of a newer token. Every try is written down.
-- KEYS: committed (job -> token), writes. ARGV: job, token. Reply: 1 committed, 0 refused.
local before = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
local token = tonumber(ARGV[2])
-- the same effect again, because the first answer was lost
if token == before then return 1 end
if token < before then
  redis.call('RPUSH', KEYS[2], ARGV[1] .. ' ' .. ARGV[2] .. ' refused')
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('RPUSH', KEYS[2], ARGV[1] .. ' ' .. ARGV[2] .. ' committed')
return 1
