-- Fencing tokens only grow: past a flush or a failover the clock carries them over what was forgotten. Breaks off if
-- `last` is no number.
local function token_after(last)
  local next = (last or 0) + 1
  return next > now_us and string.format('%d', next) or time_us
end
