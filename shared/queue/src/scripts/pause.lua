-- @include prelude
-- ARGV: reason, by. Reply: 1, or 0 if it was paused already
local reason, by = string.gsub(ARGV[1], '[\30\31]', ' '), string.gsub(ARGV[2], '[\30\31]', ' ') -- they part what a claim answers
if not redis.call('SET', '$paused', reason, 'NX') then return 0 end
redis.call('HSET', '$meta', 'paused_by', by, 'paused_at', now)
return 1
