-- @include count
-- The effect of an ack: the job is done. At each hundredth some that are done are forgotten, a few at a time, so that
-- nobody waits for it.
local function finish_job(ending, priority, group, error)
  local key = prefix .. 'job:' .. ending.id
  call('HSET', key, 'state', 'done', 'finished_at', time, 'settled', ending.token,
    unpack(ending.fields))
  if error then call('HDEL', key, 'error') end -- the history keeps it
  if group then
    -- seldom needed, hence made here alone
    -- @include leave_group
    leave_group(ending.id, group)
  end
  if count('done', priority, '1') % 100 == 0 then
    -- seldom needed, hence made here alone
    -- @include trim_done
    trim_done(120)
  end
end
