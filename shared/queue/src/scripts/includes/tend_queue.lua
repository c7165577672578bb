-- What a claim must know, read in one command. Returns the pause's reason, the last token, when something is due, when
-- this Redis first knew the queue, and the job that this worker runs isolated. What is due is collected before.
local function tend_queue(worker)
  local isolated_key = prefix .. 'worker:' .. worker .. ':isolated'
  local paused, token, due, born, activity, isolated = unpack(call('MGET', prefix .. 'paused', prefix .. 'token',
    prefix .. 'due', prefix .. 'born', prefix .. 'activity', isolated_key))
  if not activity or math.abs(now - tonumber(activity)) > ttl_ms / 16 then
    -- seldom needed, hence made here alone
    -- @include note_activity
    note_activity(activity)
  end
  if not due or tonumber(due) <= now then
    -- seldom needed, hence made here alone
    -- @include collect_due
    due = string.format('%d', collect_due().due)
    isolated = call('GET', isolated_key) -- it may have been this worker's own lease that ran out
  end
  if not born then
    born = time_us
    call('SET', prefix .. 'born', born)
  end
  return paused, token, due, born, isolated
end
