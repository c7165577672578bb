-- @include prelude wake
-- Jobs are handed out again.
--
-- ARGV[5] whose pause is to end; empty: whoever's
-- Reply: 1, or 0 if it was not paused, or by somebody else
local meta, of = prefix .. 'meta', ARGV[5]
if call('EXISTS', prefix .. 'paused') == 0 then
  call('HDEL', meta, 'paused_by', 'paused_at') -- somebody deleted the pause by hand
  return 0
end
if of ~= '' and call('HGET', meta, 'paused_by') ~= of then return 0 end
call('DEL', prefix .. 'paused')
call('HDEL', meta, 'paused_by', 'paused_at')
call('HSET', meta, 'resumed_at', now) -- a pause that is gone without this was lost
wake(call('ZCARD', prefix .. 'pending'))
return 1
