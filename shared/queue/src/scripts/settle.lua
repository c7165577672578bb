-- @include prelude read_endings end_lease
-- Ends leases.
--
-- ARGV[5] worker, or '' if it is not known
-- ARGV[6…] the endings, see includes/read_endings.lua
-- Reply: what became of each, in order: its job's state now, or 'lost'
local worker, outcomes = ARGV[5], {}
for i, ending in ipairs(read_endings(6)) do outcomes[i] = end_lease(ending, worker) end
return outcomes
