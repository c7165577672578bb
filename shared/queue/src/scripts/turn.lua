-- @include prelude read_endings end_lease claim
-- What a worker has to tell and to ask, in one step: ends leases, then claims. Endings come first, so that a worker
-- which ends its only lease can be given a job that must run isolated.
--
-- ARGV[5] worker
-- ARGV[6] most jobs to claim
-- ARGV[7…] the endings, see includes/read_endings.lua
-- Reply: JSON, the claim as of includes/claim.lua with `outcomes` as settle.lua replies, if there are any
local worker, most, outcomes = ARGV[5], ARGV[6], {}
for i, ending in ipairs(read_endings(7)) do outcomes[i] = end_lease(ending, worker) end
local reply = claim(worker, most)
if outcomes[1] then reply.outcomes = outcomes end
return cjson.encode(reply)
