-- @include count due_at history_with number wake
-- The effect of an ending that leaves the job undone, in `state` with `score` there.
local function return_job(ending, job, state, score)
  local key = prefix .. 'job:' .. ending.id
  local given_back = ending.verb == 'give_back' -- not by its holder: to whom the lease is lost
  call('HSET', key, 'state', state, 'isolated', 0, 'settled', given_back and 0 or ending.token)
  if given_back or ending.verb == 'release' then
    call('HSET', key, 'attempts', math.max(number(job.attempts, COUNT_MOST, 1) - 1, 0))
  else
    local line = string.format('%.0f attempt %s token %s: %s: %s', now, job.attempts or 0, ending.token, ending.verb, ending.reason)
    call('HSET', key, 'error', ending.reason, 'history', history_with(job.history, line))
    call('HINCRBY', prefix .. 'counts', ending.verb, 1)
  end
  if state == 'pending' then
    wake(1)
  elseif state == 'delayed' then
    call('HSET', key, 'not_before', score)
    due_at(score)
  else
    call('HSET', key, 'finished_at', now)
    if state == 'dead' then count('left', job.priority, 1) end
  end
end
