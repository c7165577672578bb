-- @include prelude pending
-- Reply: 1, or 0 if it was not paused
if redis.call('DEL', '$paused') == 0 then return 0 end
redis.call('HDEL', '$meta', 'paused_by', 'paused_at')
wake(redis.call('ZCARD', '$pending'))
return 1
