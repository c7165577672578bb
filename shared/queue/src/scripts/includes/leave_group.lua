-- A job is not outstanding in its group any more.
local function leave_group(id, group)
  if group and group ~= '' then call('SREM', prefix .. 'outstanding:' .. group, id) end
end
