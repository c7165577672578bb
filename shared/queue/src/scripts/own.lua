-- @include prelude refuse_foreign
-- Whether the queue is the caller's.
--
-- ARGV[5] owner as of refuse_foreign.lua, or ''
-- ARGV[6] '1' to make it so if it is nobody's
-- Reply: 1, or the error FOREIGN and who owns it
local owner, stamp = ARGV[5], ARGV[6] == '1'
return refuse_foreign(owner, stamp) or 1
