-- Told by the scripts that a live fleet runs often. After a silence of more than half a ttl, whose cause may be a
-- frozen Redis, a failover or a network cut off, and after a clock that was set back, leases get one ttl to be renewed.
-- To be called before anything else is written: a Redis without memory refuses this write, but would let a claim or a
-- collection pass, so that living workers were charged with deaths.
local function note_activity(last)
  local silence = now - (last or now)
  if math.abs(silence) > ttl_ms / 2 then call('SET', prefix .. 'hold_until', now + ttl_ms) end
  if silence < -ttl_ms / 2 then call('HSET', prefix .. 'meta', 'set_back_at', now) end
  call('SET', prefix .. 'activity', time)
end
