-- @include prelude
-- Takes jobs off a group's list that are no more (somebody removed their hashes by hand). ARGV: group, ids. Reply: how many
local pruned = 0
for i = 2, #ARGV do
  if redis.call('EXISTS', '$job:' .. ARGV[i]) == 0 then pruned = pruned + redis.call('SREM', '$outstanding:' .. ARGV[1], ARGV[i]) end
end
return pruned
