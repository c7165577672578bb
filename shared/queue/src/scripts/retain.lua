-- What one call of `collect` forgets at most: about a millisecond.
local TRIM_MOST = 600

-- Forgets finished jobs beyond RETAIN_DONE in number or RETAIN_DONE_MS in age; at most `limit` of them. Returns how many.
local function trim_done(limit)
  local key = '$done'
  local surplus = math.min(redis.call('ZCARD', key) - RETAIN_DONE, limit)
  local old = redis.call('ZRANGEBYSCORE', key, '-inf', now - RETAIN_DONE_MS, 'LIMIT', 0, limit)
  if surplus > #old then old = redis.call('ZRANGE', key, 0, surplus - 1) end
  if #old == 0 then return 0 end
  local keys = {}
  for i, id in ipairs(old) do keys[i] = '$job:' .. id end
  redis.call('DEL', unpack(keys))
  redis.call('ZREM', key, unpack(old))
  return #old
end
