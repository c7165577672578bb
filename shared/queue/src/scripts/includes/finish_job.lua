-- @include count
-- The effect of an ack: the job is done. At each hundredth some that are done are forgotten, a few at a time, so that nobody waits for it.
local function finish_job(ending, job)
  local key = prefix .. 'job:' .. ending.id
  call('HSET', key, 'state', 'done', 'finished_at', time, 'settled', ending.token,
    unpack(ARGV, ending.first, ending.last))
  if job.error then call('HDEL', key, 'error') end -- the history keeps it
  if job.group ~= '' then
    -- @include leave_group
    leave_group(ending.id, job.group)
  end
  if count('done', job.priority, '1') % 100 == 0 then
    -- @include trim_done
    trim_done(120)
  end
end
