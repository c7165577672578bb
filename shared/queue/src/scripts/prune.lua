-- @include prelude
-- Takes ids without a job off a group's list.
--
-- ARGV[5] group
-- ARGV[6…] ids
-- Reply: how many
local pruned = 0
for i = 6, #ARGV do
  local gone = call('EXISTS', prefix .. 'job:' .. ARGV[i]) == 0
  if gone then pruned = pruned + call('SREM', prefix .. 'outstanding:' .. ARGV[5], ARGV[i]) end
end
return pruned
