-- @include prelude
-- Gives leadership up.
--
-- ARGV[5] the leader's token
-- Reply: 1, or 0 if it does not lead
local token = ARGV[5]
local leads = call('GET', prefix .. 'leader')
if leads and string.match(leads, '^(%d+) ') == token then return call('DEL', prefix .. 'leader') end
return 0
