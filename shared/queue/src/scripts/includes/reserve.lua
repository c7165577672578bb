-- @include constants
-- Reserves an isolated job for a busy worker for one ttl, the one that it has reserved already if there is one: it will
-- run here at the latest, and the worker gets nothing more until it is idle. Returns false if there is none left to
-- reserve.
local function reserve(worker_key)
  local pending = prefix .. 'pending'
  local id = call('GET', worker_key .. ':reserved')
  local score = id and call('ZSCORE', pending, id)
  if not score or tonumber(score) >= FREE then
    id = call('ZRANGEBYSCORE', pending, FREE, '(0', 'LIMIT', 0, 1)[1]
    if not id then return false end
  end
  call('ZADD', pending, RESERVED + now + ttl_ms, id)
  call('SET', worker_key .. ':reserved', id, 'PX', ttl_ms)
  return true
end
