-- @include prelude
-- ARGV: token. Reply: 1 or 0
local leads = redis.call('GET', '$leader')
if leads and string.match(leads, '^(%d+) ') == ARGV[1] then return redis.call('DEL', '$leader') end
return 0
