-- @include prelude refuse_foreign token_after
-- Takes or keeps leadership.
--
-- ARGV[5] id of who asks
-- ARGV[6] for how long, ms
-- ARGV[7] owner as of refuse_foreign.lua, or ''
-- Reply: the leader's token, or 0 if somebody else leads; or the error FOREIGN
local id, duration, owner = ARGV[5], ARGV[6], ARGV[7]
local foreign = refuse_foreign(owner, true)
if foreign then return foreign end
-- before a leader enqueues anything it must be able to see that this Redis is new
call('SET', prefix .. 'born', time_us, 'NX')
local leads = call('GET', prefix .. 'leader')
if leads then
  local token, leader = string.match(leads, '^(%d+) (.*)$')
  if leader ~= id then return 0 end
  call('PEXPIRE', prefix .. 'leader', duration)
  return tonumber(token)
end
local token = token_after(call('GET', prefix .. 'token'))
call('SET', prefix .. 'token', token)
call('SET', prefix .. 'leader', token .. ' ' .. id, 'PX', duration)
return tonumber(token)
