-- @include finish_job leave_lease
-- Ends one lease, if its token is the job's. Returns the job's state now, or 'lost': another token holds the job, or it
-- is gone. `holder` is whose lease it is, '' if that is not known.
local function end_lease(ending, holder)
  local key = prefix .. 'job:' .. ending.id
  local state, token, worker, priority, group, isolated, error = unpack(redis.pcall('HMGET', key,
    'state', 'token', 'worker', 'priority', 'group', 'isolated', 'error'))
  if state ~= 'leased' or token ~= ending.token then
    -- asked again because the first answer was lost
    local settled = token == ending.token and call('HGET', key, 'settled') == token
    if settled then return state end
    -- seldom needed, hence made here alone
    -- @include forget_lease
    forget_lease(ending, holder)
    return 'lost'
  end
  -- The record first: a Redis without memory refuses that, but would let a lease end.
  local next_state, score = 'done', time
  if ending.verb == 'ack' then
    finish_job(ending, priority, group, error)
  else
    -- seldom needed, hence made here alone
    -- @include return_job
    next_state, score = return_job(ending)
  end
  leave_lease(ending.id, worker, isolated)
  call('ZADD', prefix .. next_state, score, ending.id)
  return next_state
end
