-- @include prelude drop_lost
-- Takes ids without a job off a group's list, and off the sets of states.
--
-- ARGV[5] group
-- ARGV[6…] ids
-- Reply: how many
local group, pruned = ARGV[5], 0
for i = 6, #ARGV do
  local id = ARGV[i]
  if call('EXISTS', prefix .. 'job:' .. id) == 0 then
    pruned = pruned + call('SREM', prefix .. 'outstanding:' .. group, id)
    drop_lost(id)
  end
end
return pruned
