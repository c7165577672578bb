-- @include prelude token
-- Reply: a token larger than every one before it
local token = token_after(redis.call('GET', '$token'))
redis.call('SET', '$token', token)
return token
