-- @include prelude
-- Nothing is handed out any more.
--
-- ARGV[5] reason
-- ARGV[6] who asks
-- Reply: 1, or 0 if it was paused already: then the first reason stays
local reason, by = ARGV[5], ARGV[6]
if not call('SET', prefix .. 'paused', reason, 'NX') then return 0 end
call('HSET', prefix .. 'meta', 'paused_by', by, 'paused_at', now)
return 1
