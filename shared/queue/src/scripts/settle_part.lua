-- Ends leases. Everything is read before anything is written: a key of a wrong type refuses the call without a trace.
-- Returns per ending the job's state now, or '' for a lease that was lost; and what the caller must write: the ids that left each
-- worker, and how many jobs of each priority are done, both with their names in a list.
local function settle(at, endings)
  local jobs = {}
  for n = 1, endings do
    local job = redis.call('HMGET', base .. 'job:' .. ARGV[at + 1], 'state', 'token', 'worker', 'group', 'priority', 'alone', 'settled',
      'attempts', 'max_attempts', 'enqueued_at', 'solo', 'history', 'error')
    jobs[n] = job
    job.op, job.id, job.ending_token, job.text, job.delay = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], tonumber(ARGV[at + 4])
    job.from = at + 6
    at = at + 6 + tonumber(ARGV[at + 5])
    job.to = at - 1
  end

  local out = {replies = {}, holders = {}, left_by = {}, priorities = {}, done = {}}
  local left, scored_done, left_by_group, now_in, woken = {}, {}, {}, {}, 0
  for n, f in ipairs(jobs) do
    local op, id, token, key = f.op, f.id, f.ending_token, base .. 'job:' .. f.id
    if now_in[id] or f[1] ~= 'leased' or f[2] ~= token then
      -- asked again because the first answer was lost: the same answer
      if f[2] == token and (now_in[id] or f[7] == token) then
        out.replies[n] = now_in[id] or f[1]
      else
        out.replies[n] = ''
      end
    else
      local worker, priority, attempts, state = f[3], f[5], tonumber(f[8]), nil
      left[#left + 1] = id
      local held = out.left_by[worker]
      if not held then
        held = {}
        out.left_by[worker] = held
        out.holders[#out.holders + 1] = worker
      end
      held[#held + 1] = id
      if f[6] == '1' then redis.call('DEL', base .. 'worker:' .. worker .. ':alone') end

      if op == 'ack' then
        state = 'done'
        if f[4] and f[4] ~= '' then
          local group = left_by_group[f[4]]
          if group then group[#group + 1] = id else left_by_group[f[4]] = {id} end
        end
        if f[13] and f[13] ~= '' then redis.call('HSET', key, 'error', '') end
        if f.to >= f.from then
          redis.call('HSET', key, 'state', 'done', 'finished_at', now, 'settled', token, unpack(ARGV, f.from, f.to))
        else
          redis.call('HSET', key, 'state', 'done', 'finished_at', now, 'settled', token)
        end
        scored_done[#scored_done + 1] = now
        scored_done[#scored_done + 1] = id
        if not out.done[priority] then
          out.done[priority] = 0
          out.priorities[#out.priorities + 1] = priority
        end
        out.done[priority] = out.done[priority] + 1
      else
        local score = now
        if op == 'retry' then
          if attempts >= tonumber(f[9]) then
            state = 'dead'
          elseif f.delay <= 0 then
            state = 'pending'
          else
            state = 'delayed'
            score = now + f.delay
            due_at(score)
          end
        elseif op == 'bury' then
          state = 'dead'
        elseif op == 'split' then
          state = 'splitting'
        else
          state = 'pending'
          attempts = math.max(attempts - 1, 0)
        end
        if state == 'pending' then
          score = pending_score(tonumber(priority), tonumber(f[10]), f[11] == '1')
          woken = woken + 1
        end
        redis.call('ZADD', base .. state, score, id)
        if op == 'release' then
          redis.call('HSET', key, 'state', state, 'attempts', attempts, 'alone', 0, 'settled', token)
        else
          redis.call('HSET', key, 'state', state, 'alone', 0, 'settled', token, 'error', f.text, 'history',
            history_with(f[12], string.format('%.0f attempt %d token %s: %s: %s', now, attempts, token, op, f.text)))
          if state == 'delayed' then redis.call('HSET', key, 'not_before', score) end
          if state == 'dead' or state == 'splitting' then redis.call('HSET', key, 'finished_at', now) end
          redis.call('HINCRBY', base .. 'counts', op, 1)
        end
        if state == 'dead' then count('left', priority, 1) end
      end
      now_in[id] = state
      out.replies[n] = state
    end
  end

  if #left > 0 then redis.call('ZREM', base .. 'leased', unpack(left)) end
  for group, ids in pairs(left_by_group) do redis.call('SREM', base .. 'outstanding:' .. group, unpack(ids)) end
  if #scored_done > 0 then redis.call('ZADD', base .. 'done', unpack(scored_done)) end
  if woken > 0 then wake(woken) end
  return out
end
