-- @include prelude
-- A worker leaves the list. ARGV: worker
local key = '$worker:' .. ARGV[1]
redis.call('ZREM', '$workers', ARGV[1])
return redis.call('DEL', key, key .. ':reserved')
