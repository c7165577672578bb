-- `due` is a lower bound of the time when something becomes due; whoever adds something earlier lowers it.
local function due_at(time)
  local due = call('GET', prefix .. 'due')
  if due and tonumber(due) > time then call('SET', prefix .. 'due', time) end
end
