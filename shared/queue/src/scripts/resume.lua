-- @include prelude wake
-- Jobs are handed out again.
--
-- Reply: 1, or 0 if it was not paused
if call('DEL', prefix .. 'paused') == 0 then return 0 end
call('HDEL', prefix .. 'meta', 'paused_by', 'paused_at')
wake(call('ZCARD', prefix .. 'pending'))
return 1
