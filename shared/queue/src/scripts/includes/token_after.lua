-- Fencing tokens only grow: past a flush or a failover the clock carries them over what was forgotten. Breaks off if `last` is no number.
local function token_after(last)
  return math.max((last or 0) + 1, now_us)
end
