-- @include prelude
-- Every later token is larger than ARGV[1]. Reply: the counter
local floor = math.max(tonumber(ARGV[1]), tonumber(redis.call('GET', '$token') or '0'))
redis.call('SET', '$token', floor)
return floor
