-- A lease ends, but its job is not done: retry, bury, release or split. `job` is what end_leases read of it; at ARGV[at] stand the reason and the delay.
-- Returns the job's state, the next due time and how many jobs became pending.
local function end_otherwise(op, id, token, job, at, due, woken)
  local key, priority, attempts, text, delay = '$job:' .. id, job[5], whole(job[7], COUNT_MOST, 0), ARGV[at], tonumber(ARGV[at + 1])
  local state, score = 'pending', now
  if op == 'retry' then
    if attempts >= whole(job[8], COUNT_MOST, 1) then
      state = 'dead'
    elseif delay > 0 then
      state = 'delayed'
      score = now + delay
      due = math.min(due, score)
    end
  elseif op == 'bury' then
    state = 'dead'
  elseif op == 'split' then
    state = 'splitting'
  else
    attempts = math.max(attempts - 1, 0)
  end
  if state == 'pending' then
    score = pending_score(priority, job[9], job[10] == '1')
    woken = woken + 1
  end
  redis.call('ZADD', '$' .. state, score, id)
  if op == 'release' then
    redis.call('HSET', key, 'state', state, 'attempts', attempts, 'isolated', 0, 'settled', token)
  else
    text = string.gsub(text, '[\30\31]', ' ') -- they part what a claim answers
    redis.call('HSET', key, 'state', state, 'isolated', 0, 'settled', token, 'error', text, 'history',
      history_with(job[11], string.format('%.0f attempt %d token %s: %s: %s', now, attempts, token, op, text)))
    if state == 'delayed' then redis.call('HSET', key, 'not_before', score) end
    if state == 'dead' or state == 'splitting' then redis.call('HSET', key, 'finished_at', now) end
    redis.call('HINCRBY', '$counts', op, 1)
  end
  if state == 'dead' then count('left', priority, 1) end
  return state, due, woken
end
