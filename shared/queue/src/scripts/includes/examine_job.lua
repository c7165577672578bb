-- @include constants read_job number pending_score
-- Decides how a job is repaired whose record or places somebody changed by hand; changes nothing. Its record is the
-- truth, and what lists it must agree. `workers` and `groups` are those who were seen to list it. Returns steps: {what
-- is wrong, {command, arguments…}}.
local function examine_job(id, workers, groups)
  local key, steps = prefix .. 'job:' .. id, {}
  local function step(fault, ...) steps[#steps + 1] = {fault, {...}} end
  local job = read_job(id, 'state', 'priority', 'enqueued_at', 'isolate', 'isolated', 'group', 'worker', 'token',
    'attempts', 'max_attempts', 'lease_until', 'not_before', 'finished_at')
  local lease_until, not_before = number(job.lease_until, 1e15, now), number(job.not_before, 1e15, now)
  local finished = number(job.finished_at, 1e15, now)
  local scores = {pending = pending_score(job), leased = lease_until, delayed = not_before, splitting = finished,
    dead = finished, done = finished}

  -- the record
  local kind, state = call('TYPE', key).ok, job.state
  local attempts, most = number(job.attempts, COUNT_MOST, 0), number(job.max_attempts, COUNT_MOST, 1)
  if kind ~= 'hash' then
    state = nil
    if kind ~= 'none' then step('its key is a ' .. kind .. ', not a hash', 'DEL', key) end
  elseif not scores[state] then
    state = 'dead'
    step('its record names no state',
      'HSET', key, 'state', 'dead', 'finished_at', now, 'error', 'its record named no state')
  elseif state == 'leased' and (number(job.token, 9e15, 0) == 0 or (job.worker or '') == '') then
    state = 'pending'
    step('it is leased to nobody', 'HSET', key, 'state', 'pending', 'isolated', 0)
  end
  if (state == 'pending' or state == 'delayed') and attempts >= most then
    state = 'dead'
    step('it is ' .. job.state .. ' without an attempt left',
      'HSET', key, 'state', 'dead', 'finished_at', now, 'error', 'it had no attempt left')
  elseif state == 'leased' and attempts == 0 then
    step('it is leased without an attempt', 'HSET', key, 'attempts', 1)
  end
  if state and attempts > most then step('it has more attempts than it may', 'HSET', key, 'attempts', most) end
  if state and number(job.token, 9e15, 0) > number(call('GET', prefix .. 'token'), 9e15, 0) then
    step('its token is beyond the last one', 'SET', prefix .. 'token', job.token)
  end

  -- the sets of states
  for name, score in pairs(scores) do
    local listed = call('ZSCORE', prefix .. name, id)
    if listed and name ~= state then step('it is listed as ' .. name, 'ZREM', prefix .. name, id) end
    if not listed and name == state then step('it is not listed as ' .. name, 'ZADD', prefix .. name, score, id) end
  end

  -- the workers' lists
  if state == 'leased' then
    local leases_key = prefix .. 'worker:' .. job.worker .. ':leases'
    local listing = call('TYPE', leases_key).ok
    if listing ~= 'hash' and listing ~= 'none' then
      step("its worker's list is a " .. listing .. ', not a hash', 'DEL', leases_key)
    end
    if listing ~= 'hash' or call('HGET', leases_key, id) ~= job.token then
      step('its worker does not list it', 'HSET', leases_key, id, job.token)
    end
  end
  for _, worker in ipairs(workers) do
    local worker_key, ours = prefix .. 'worker:' .. worker, state == 'leased' and worker == job.worker
    if not ours and call('HEXISTS', worker_key .. ':leases', id) == 1 then
      step('worker ' .. worker .. ' lists it', 'HDEL', worker_key .. ':leases', id)
    end
    if not (ours and job.isolated == '1') and call('GET', worker_key .. ':isolated') == id then
      step('worker ' .. worker .. ' waits for it to end', 'DEL', worker_key .. ':isolated')
    end
  end

  -- the groups' lists
  local group = state and state ~= 'done' and job.group or ''
  if group ~= '' and call('SISMEMBER', prefix .. 'outstanding:' .. group, id) == 0 then
    step('group ' .. group .. ' does not list it', 'SADD', prefix .. 'outstanding:' .. group, id)
    step('group ' .. group .. ' may be unknown', 'SADD', prefix .. 'groups', group)
  end
  for _, name in ipairs(groups) do
    if name ~= group and call('SISMEMBER', prefix .. 'outstanding:' .. name, id) == 1 then
      step('group ' .. name .. ' lists it', 'SREM', prefix .. 'outstanding:' .. name, id)
    end
  end
  return steps
end
