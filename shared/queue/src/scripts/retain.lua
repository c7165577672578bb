-- What one call of `collect` forgets at most: about a millisecond.
local TRIM_MOST = 600

-- Forgets finished jobs beyond `retain` in number or `retain_ms` in age; at most `limit` of them. Returns how many.
local function trim_done(retain, retain_ms, limit)
  local key = base .. 'done'
  local surplus = math.min(redis.call('ZCARD', key) - retain, limit)
  local old = redis.call('ZRANGEBYSCORE', key, '-inf', now - retain_ms, 'LIMIT', 0, limit)
  if surplus > #old then old = redis.call('ZRANGE', key, 0, surplus - 1) end
  if #old == 0 then return 0 end
  local keys = {}
  for i, id in ipairs(old) do keys[i] = base .. 'job:' .. id end
  redis.call('DEL', unpack(keys))
  redis.call('ZREM', key, unpack(old))
  return #old
end
