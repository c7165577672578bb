-- @include prelude wake
-- Jobs are handed out again.
--
-- ARGV[5] whose pause is to end; empty: whoever's
-- Reply: 1, or 0 if it was not paused, or by somebody else
if ARGV[5] ~= '' and call('HGET', prefix .. 'meta', 'paused_by') ~= ARGV[5] then return 0 end
if call('DEL', prefix .. 'paused') == 0 then return 0 end
call('HDEL', prefix .. 'meta', 'paused_by', 'paused_at')
wake(call('ZCARD', prefix .. 'pending'))
return 1
