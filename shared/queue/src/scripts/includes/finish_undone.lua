-- @include count leave_group
-- A job that waits to be split, or is dead, is done without running, with these fields in its record.
local function finish_undone(id, job, ...)
  call('ZREM', prefix .. job.state, id)
  call('ZADD', prefix .. 'done', now, id)
  call('HSET', prefix .. 'job:' .. id, 'state', 'done', 'finished_at', now, ...)
  leave_group(id, job.group)
  if job.state ~= 'dead' then count('left', job.priority, 1) end
end
