-- Counts jobs that were added, done, or left otherwise, by priority: outstanding are added - done - left. Returns the
-- new count.
local function count(what, priority, by)
  if not string.find(priority or '', '^%d%d?$') then priority = '0' end
  return call('HINCRBY', prefix .. 'counts', what .. ':' .. priority, by)
end
