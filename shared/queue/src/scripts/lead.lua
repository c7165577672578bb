-- @include prelude token owner
-- ARGV: id, ttl ms, owner. Reply: token, or 0 if somebody else leads
local foreign = refuse_other(ARGV[3], true)
if foreign then return foreign end
-- Before a leader enqueues anything it must be able to see that this Redis is new.
redis.call('SET', '$born', time_us, 'NX')
local leads = redis.call('GET', '$leader')
if leads then
  local token, id = string.match(leads, '^(%d+) (.*)$')
  if id ~= ARGV[1] then return 0 end
  redis.call('PEXPIRE', '$leader', ARGV[2])
  return tonumber(token)
end
local token = token_after(redis.call('GET', '$token'))
redis.call('SET', '$token', token)
redis.call('SET', '$leader', string.format('%.0f %s', token, ARGV[1]), 'PX', ARGV[2])
return token
