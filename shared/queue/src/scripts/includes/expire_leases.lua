-- @include held_until expire_lease
-- Takes back leases that nobody renews, at most `limit`, unless they are held. Returns how many jobs are pending, dead
-- and splitting then, as names in a table, with `held`, until when they are kept (0 if they are not), and `full`, if
-- there are more.
local function expire_leases(limit)
  local done = {pending = 0, dead = 0, splitting = 0, held = 0, full = false}
  -- A clock that was set back reaches these too late; whoever lives renews in time. Not without that: another process
  -- may give longer leases than this one.
  if call('HGET', prefix .. 'meta', 'set_back_at') then
    local far = call('ZRANGEBYSCORE', prefix .. 'leased', '(' .. now + 2 * ttl_ms, '+inf', 'LIMIT', 0, limit)
    for _, id in ipairs(far) do call('ZADD', prefix .. 'leased', now + ttl_ms, id) end
    if #far < limit then call('HDEL', prefix .. 'meta', 'set_back_at') end
  end
  local expired = call('ZRANGEBYSCORE', prefix .. 'leased', '-inf', now, 'LIMIT', 0, limit)
  if not expired[1] then return done end
  local hold = held_until()
  if hold > now then
    done.held = hold
    return done
  end
  for _, id in ipairs(expired) do
    local state = expire_lease(id)
    if state then done[state] = done[state] + 1 end
  end
  done.full = #expired == limit
  return done
end
