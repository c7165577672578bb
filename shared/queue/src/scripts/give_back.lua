-- @include prelude end_lease
-- Gives leases back for a worker that ended, or that does not know of them. No attempt is spent.
--
-- ARGV[5…] id and token of each lease
-- Reply: how many were in force
local returned = 0
for i = 5, #ARGV, 2 do
  local state = end_lease({verb = 'give_back', id = ARGV[i], token = ARGV[i + 1], delay = 0})
  if state == 'pending' then returned = returned + 1 end
end
return returned
