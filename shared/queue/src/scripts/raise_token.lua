-- @include prelude
-- Makes every later token larger than a floor.
--
-- ARGV[5] the floor
-- Reply: the last token now
local floor = tonumber(ARGV[5])
local last = math.max(floor, tonumber(call('GET', prefix .. 'token') or '0'))
call('SET', prefix .. 'token', last)
return last
