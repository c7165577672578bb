-- @include number
-- Counts jobs that were added, done, or left otherwise, by priority: outstanding are added - done - left. Returns the new count.
local function count(what, priority, by)
  return call('HINCRBY', prefix .. 'counts', what .. ':' .. number(priority, 99, 0), by)
end
