-- @include prelude
-- A write that needs memory goes through; nothing is left of it. Reply: 1
redis.call('SET', '$probe', time)
return redis.call('DEL', '$probe')
