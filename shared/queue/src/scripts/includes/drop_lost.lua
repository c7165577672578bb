-- @include count_lost
-- An id without a record leaves the sets of states, and is counted as that.
local function drop_lost(id)
  local score, listed = call('ZSCORE', prefix .. 'pending', id), 0
  for _, state in ipairs({'pending', 'leased', 'delayed', 'splitting'}) do
    listed = listed + call('ZREM', prefix .. state, id)
  end
  call('ZREM', prefix .. 'dead', id)
  if listed > 0 then count_lost(score) end
end
