-- @include constants count due_at history_with number read_job resolve_undone wake
-- The effect of an ending that leaves the job undone. Returns the job's state now, and its score there.
local function return_job(ending)
  local key, verb = prefix .. 'job:' .. ending.id, ending.verb
  local record = read_job(ending.id, 'attempts', 'max_attempts', 'priority', 'enqueued_at', 'isolate', 'history')
  local state, score = resolve_undone(ending, record)
  local given_back = verb == 'give_back' -- not by its holder: to whom the lease is lost
  call('HSET', key, 'state', state, 'isolated', 0, 'settled', given_back and 0 or ending.token)
  if given_back or verb == 'release' then
    call('HSET', key, 'attempts', math.max(number(record.attempts, COUNT_MOST, 1) - 1, 0))
  else
    local history = history_with(record, ending.token, verb .. ': ' .. ending.reason)
    call('HSET', key, 'error', ending.reason, 'history', history)
    call('HINCRBY', prefix .. 'counts', verb, 1)
  end
  if state == 'pending' then
    wake(1)
  elseif state == 'delayed' then
    call('HSET', key, 'not_before', score)
    due_at(score)
  else
    call('HSET', key, 'finished_at', time)
    if state == 'dead' then count('left', record.priority, 1) end
  end
  return state, score
end
