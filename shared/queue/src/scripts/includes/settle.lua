-- @include read_job resolve_ending leave_lease finish_job return_job
-- Ends one lease, if its token is the job's. Returns the job's state now, or 'lost': another token holds the job, or it is gone.
local function settle(ending)
  local job = read_job(ending.id, 'state', 'token', 'settled', 'worker', 'isolated', 'isolate', 'group', 'priority', 'enqueued_at', 'attempts',
    'max_attempts', 'error', 'history')
  if job.state ~= 'leased' or job.token ~= ending.token then
    -- asked again because the first answer was lost
    local settled = job.token == ending.token and job.settled == ending.token
    return settled and job.state or 'lost'
  end
  local state, score = resolve_ending(ending, job)
  -- The record first: a Redis without memory refuses that, but would let a lease end.
  if state == 'done' then finish_job(ending, job) else return_job(ending, job, state, score) end
  leave_lease(ending.id, job)
  call('ZADD', prefix .. state, score, ending.id)
  return state
end
