-- @include prelude
-- The queue changes hands, unless somebody still works on it.
--
-- ARGV[5] the new owner, as of refuse_foreign.lua
-- ARGV[6] how long a silent worker counts as alive, ms
-- Reply: {1 or 0, workers heard of lately, id of who leads or ''}
local owner, expiry = ARGV[5], tonumber(ARGV[6])
local workers = call('ZCOUNT', prefix .. 'workers', string.format('(%d', now - expiry), '+inf')
local leader = string.match(call('GET', prefix .. 'leader') or '', '^%d+ (.*)$') or ''
if workers > 0 or leader ~= '' then return {0, workers, leader} end
call('SET', prefix .. 'owner', owner)
return {1, 0, ''}
