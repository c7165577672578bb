-- @include prelude
-- Takes ids without a job off a group's list.
--
-- ARGV[5] group
-- ARGV[6…] ids
-- Reply: how many
local group, pruned = ARGV[5], 0
for i = 6, #ARGV do
  local id = ARGV[i]
  local gone = call('EXISTS', prefix .. 'job:' .. id) == 0
  if gone then pruned = pruned + call('SREM', prefix .. 'outstanding:' .. group, id) end
end
return pruned
