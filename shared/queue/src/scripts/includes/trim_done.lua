-- Forgets done jobs beyond what is to be kept in number or age, at most `limit` of them. Returns how many.
local function trim_done(limit)
  local done = prefix .. 'done'
  local surplus = math.min(call('ZCARD', done) - retain_done, limit)
  local forgotten = call('ZRANGEBYSCORE', done, '-inf', now - retain_done_ms, 'LIMIT', 0, limit)
  if surplus > #forgotten then forgotten = call('ZRANGE', done, 0, surplus - 1) end
  if #forgotten == 0 then return 0 end
  local keys = {}
  for i, id in ipairs(forgotten) do keys[i] = prefix .. 'job:' .. id end
  call('DEL', unpack(keys))
  call('ZREM', done, unpack(forgotten))
  return #forgotten
end
