-- @include constants
-- When something becomes due next: a lease runs out (not while it is held), a delay or a reservation ends. If nothing
-- is known, look again all the same.
local function next_due(held)
  local due = now + math.max(ttl_ms, 5000)
  local lease = call('ZRANGE', prefix .. 'leased', 0, 0, 'WITHSCORES')
  local delayed = call('ZRANGE', prefix .. 'delayed', 0, 0, 'WITHSCORES')
  local reserved = call('ZRANGEBYSCORE', prefix .. 'pending', RESERVED, FREE - 1, 'WITHSCORES', 'LIMIT', 0, 1)
  if lease[2] then due = math.min(due, math.max(tonumber(lease[2]), held)) end
  if delayed[2] then due = math.min(due, tonumber(delayed[2])) end
  if reserved[2] then due = math.min(due, tonumber(reserved[2]) - RESERVED) end
  return due
end
