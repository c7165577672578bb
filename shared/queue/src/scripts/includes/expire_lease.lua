-- @include constants read_job number resolve_expired leave_lease history_with pending_score count
-- The lease of a job ran out. Returns the job's state now; nil if there was no such job any more.
local function expire_lease(id)
  local job = read_job(id, 'state', 'worker', 'token', 'attempts', 'max_attempts', 'deaths', 'isolated_deaths',
    'priority', 'enqueued_at', 'isolated', 'history', weight_field)
  leave_lease(id, job.worker, job.isolated)
  if not job.state then
    -- seldom needed, hence made here alone
    -- @include count_lost
    count_lost()
  end
  if job.state ~= 'leased' then return nil end
  local state, poison = resolve_expired(job)

  local isolated = job.isolated == '1'
  local reason = 'the lease of ' .. (job.worker or '') .. ' ran out' .. (isolated and ' while it ran isolated' or '')
  local key = prefix .. 'job:' .. id
  call('HSET', key, 'state', state, 'deaths', number(job.deaths, COUNT_MOST, 0) + 1, 'isolate', 1, 'isolated', 0,
    'settled', 0, 'error', reason, 'history', history_with(job, job.token, reason))
  if isolated then call('HSET', key, 'isolated_deaths', number(job.isolated_deaths, COUNT_MOST, 0) + 1) end
  if poison then call('HSET', key, 'poison', 1) end
  call('HINCRBY', prefix .. 'counts', 'deaths', 1)

  if state == 'pending' then
    job.isolate = '1'
    call('ZADD', prefix .. 'pending', pending_score(job), id)
  else
    call('ZADD', prefix .. state, now, id)
    call('HSET', key, 'finished_at', now)
    if state == 'dead' then count('left', job.priority, 1) end
  end
  return state
end
