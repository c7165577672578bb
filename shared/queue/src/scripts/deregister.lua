-- @include prelude
-- A worker leaves the list.
--
-- ARGV[5] worker
-- Reply: 1, or 0 if it was not there
local worker = ARGV[5]
local worker_key = prefix .. 'worker:' .. worker
call('DEL', worker_key, worker_key .. ':reserved')
return call('ZREM', prefix .. 'workers', worker)
