-- @include prelude
-- Nothing is handed out any more.
--
-- ARGV[5] reason
-- ARGV[6] who asks
-- Reply: 1, or 0 if it was paused already: then the first reason stays
if not call('SET', prefix .. 'paused', ARGV[5], 'NX') then return 0 end
call('HSET', prefix .. 'meta', 'paused_by', ARGV[6], 'paused_at', now)
return 1
