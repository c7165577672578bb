-- Until when expired leases are kept, since their holders may not have been able to renew them: after a silence (see
-- note_activity), or since Redis was away: it has not been up for one ttl, or it is another process than before. Whoever
-- only `looks` writes nothing, so that an account that may only read can ask.
local function held_until(looks)
  local hold = tonumber(call('GET', prefix .. 'hold_until') or '0')
  if hold > now + ttl_ms then -- the clock was set back
    hold = now + ttl_ms
    if not looks then call('SET', prefix .. 'hold_until', hold) end
  end
  local ok, info = pcall(call, 'INFO', 'server')
  if not ok or type(info) ~= 'string' then return hold end
  local run_id = string.match(info, 'run_id:(%w+)') or ''
  local known = call('HGET', prefix .. 'meta', 'run_id')
  if known ~= run_id then
    if known then hold = math.max(hold, now + ttl_ms) end
    if not looks then
      call('HSET', prefix .. 'meta', 'run_id', run_id)
      if known then call('SET', prefix .. 'hold_until', hold) end
    end
  end
  -- whole seconds, rounded down: this errs on the side of waiting
  local uptime = tonumber(string.match(info, 'uptime_in_seconds:(%d+)') or '') or 0
  return math.max(hold, now - uptime * 1000 + ttl_ms)
end
