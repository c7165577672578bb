-- @include read_job finish_job leave_lease
-- Ends one lease, if its token is the job's. Returns the job's state now, or 'lost': another token holds the job, or it is gone.
local function settle(ending)
  local job = read_job(ending.id, 'state', 'token', 'worker', 'priority', 'group', 'isolated', 'error')
  if job.state ~= 'leased' or job.token ~= ending.token then
    -- asked again because the first answer was lost
    local settled = job.token == ending.token and read_job(ending.id, 'settled').settled == ending.token
    return settled and job.state or 'lost'
  end
  -- The record first: a Redis without memory refuses that, but would let a lease end.
  local state, score = 'done', time
  if ending.verb == 'ack' then
    finish_job(ending, job)
  else
    -- @include return_job
    state, score = return_job(ending)
  end
  leave_lease(ending.id, job)
  call('ZADD', prefix .. state, score, ending.id)
  return state
end
