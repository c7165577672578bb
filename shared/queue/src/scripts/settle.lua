-- @include prelude read_endings end_lease
-- Ends leases.
--
-- ARGV[5…] the endings, see includes/read_endings.lua
-- Reply: what became of each, in order: its job's state now, or 'lost'
local outcomes = {}
for i, ending in ipairs(read_endings(5)) do outcomes[i] = end_lease(ending) end
return outcomes
