-- @include prelude end_lease
-- Gives leases back for a worker that ended, or that does not know of them. No attempt is spent.
--
-- ARGV[5] worker
-- ARGV[6…] id and token of each lease
-- Reply: how many were in force
local worker, returned = ARGV[5], 0
for i = 6, #ARGV, 2 do
  local state = end_lease({verb = 'give_back', id = ARGV[i], token = ARGV[i + 1], delay = 0}, worker)
  if state == 'pending' then returned = returned + 1 end
end
return returned
