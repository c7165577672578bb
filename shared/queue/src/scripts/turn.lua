-- @include prelude read_endings settle claim
-- What a worker has to tell and to ask, in one step: ends leases, then claims. Endings come first, so that a worker which ends its only lease can be
-- given a job that must run isolated.
--
-- ARGV[5] worker
-- ARGV[6] most jobs to claim
-- ARGV[7…] the endings, see includes/read_endings.lua
-- Reply: JSON, the claim as of includes/claim.lua with `outcomes` as of settle.lua, if there are any
local outcomes = {}
for i, ending in ipairs(read_endings(7)) do outcomes[i] = settle(ending) end
local reply = claim(ARGV[5], ARGV[6])
if outcomes[1] then reply.outcomes = outcomes end
return cjson.encode(reply)
