-- @include prelude refuse_foreign issue_token
-- Takes or keeps leadership.
--
-- ARGV[5] id of who asks
-- ARGV[6] for how long, ms
-- ARGV[7] owner as of refuse_foreign.lua, or ''
-- ARGV[8] where it is reached, for whoever lists candidates, and lines that it says of itself; or ''
-- ARGV[9] how long a silent candidate stays listed, ms
-- Reply: the leader's token, or 0 if somebody else leads; or the error FOREIGN
local id, duration, owner, address, expiry = ARGV[5], ARGV[6], ARGV[7], ARGV[8], tonumber(ARGV[9])
local foreign = refuse_foreign(owner, true)
if foreign then return foreign end
-- before a leader enqueues anything it must be able to see that this Redis is new
call('SET', prefix .. 'born', time_us, 'NX')
if address ~= '' then
  call('HSET', prefix .. 'candidates', id, time .. ' ' .. address)
  call('PEXPIRE', prefix .. 'candidates', expiry)
  local listed = call('HGETALL', prefix .. 'candidates')
  for i = 1, #listed, 2 do
    local seen = tonumber(string.match(listed[i + 1], '^%d+')) or 0
    if now - seen > expiry then call('HDEL', prefix .. 'candidates', listed[i]) end
  end
end
local leads = call('GET', prefix .. 'leader')
if leads then
  local token, leader = string.match(leads, '^(%d+) (.*)$')
  if leader ~= id then return 0 end
  call('PEXPIRE', prefix .. 'leader', duration)
  return tonumber(token)
end
local token = issue_token()
call('SET', prefix .. 'leader', token .. ' ' .. id, 'PX', duration)
return tonumber(token)
