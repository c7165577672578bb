-- @include prelude
-- The queue changes hands, unless somebody still works on it. ARGV: owner, worker expiry ms.
-- Reply: {1 or 0, workers heard of lately, id of who leads or ''}
local workers = redis.call('ZCOUNT', '$workers', '(' .. string.format('%d', now - tonumber(ARGV[2])), '+inf')
local leader = string.match(redis.call('GET', '$leader') or '', '^%d+ (.*)$') or ''
if workers > 0 or leader ~= '' then return {0, workers, leader} end
redis.call('SET', '$owner', ARGV[1])
return {1, 0, ''}
