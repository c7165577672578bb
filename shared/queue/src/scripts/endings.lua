local time = int(now)

-- False if the job is not there any more: somebody removed or replaced its hash by hand, which who has not read it finds out now.
local function write_done(key, token, error, from, fields)
  if error and error ~= '' then redis.call('HSET', key, 'error', '') end
  local last = from + fields - 1
  local added = redis.pcall('HSET', key, 'state', 'done', 'finished_at', time, 'settled', token, unpack(ARGV, from, last))
  if type(added) == 'table' then
    if string.sub(added.err, 1, 9) == 'WRONGTYPE' then return false end
    redis.call('HSET', key, 'state', 'done', 'finished_at', time, 'settled', token, unpack(ARGV, from, last)) -- fails with the error's own code
  elseif added == 3 + fields / 2 then
    redis.call('DEL', key) -- even `state` was new
    return false
  end
  return true
end

-- The part of a turn that ends leases, of the worker that is `lines` what it holds. What is read is read before anything is written. An ack
-- by who holds the lease reads nothing: its line has what it needs (see leave.lua). Returns the job's state now, or 'lost', per ending; the ids
-- whose leases have ended and, one for one, their workers; the priorities of which jobs are done and, one for one, of how many.
-- Tables are made with the room that most turns need (`{nil}`), or not before they are needed: growing one costs as much as a command.
local function end_leases(count, worker, lines)
  local states, left, holders, priorities, done, endings = {nil}, {nil}, {nil}, {nil}, {nil}, {nil}
  local at = 6
  for n = 1, count do
    local op, id, token, priority, group = ARGV[at], ARGV[at + 1], ARGV[at + 2], nil, nil
    if op == 'ack' then
      local _, plain = string.find(lines, '\n' .. id .. '\t' .. token .. '\t', 1, true)
      if plain then priority, group = string.match(lines, '^(%d+)\t([^\n]*)', plain + 1) end
      at = at + 4 + ARGV[at + 3]
    else
      at = at + 5
    end
    if priority then
      endings[n] = {'leased', token, worker, group, priority}
    else
      endings[n] = redis.call('HMGET', base .. 'job:' .. id, 'state', 'token', 'worker', 'group', 'priority', 'error', 'attempts',
        'max_attempts', 'enqueued_at', 'solo', 'history', 'settled')
    end
  end

  local scored_done, left_by_group, woken = {nil, nil}, nil, 0
  local ended = count > 1 and {}
  at = 6
  for n = 1, count do
    local f, op, id, token = endings[n], ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local key, is_ack = base .. 'job:' .. id, op == 'ack'
    local fields, before = is_ack and tonumber(ARGV[at + 3]), ended and ended[id]
    if before or f[1] ~= 'leased' or f[2] ~= token then
      -- asked again because the first answer was lost: the same answer
      local settled = before or (f[12] == token and f[1])
      states[n] = f[2] == token and settled or 'lost'
    elseif is_ack and not write_done(key, token, f[6], at + 4, fields) then
      states[n] = 'lost'
    else
      local priority, state = f[5], 'done'
      left[#left + 1] = id
      holders[#left] = f[3]

      if is_ack then
        if f[4] and f[4] ~= '' then
          left_by_group = left_by_group or {}
          local group = left_by_group[f[4]]
          if group then group[#group + 1] = id else left_by_group[f[4]] = {id} end
        end
        scored_done[#scored_done + 1] = time
        scored_done[#scored_done + 1] = id
        local place = 1
        while priorities[place] and priorities[place] ~= priority do place = place + 1 end
        priorities[place] = priority
        done[place] = (done[place] or 0) + 1
      else
        local r, attempts, text, delay, score = rare(), tonumber(f[7]), ARGV[at + 3], tonumber(ARGV[at + 4]), now
        if op == 'retry' then
          if attempts >= tonumber(f[8]) then
            state = 'dead'
          elseif delay <= 0 then
            state = 'pending'
          else
            state = 'delayed'
            score = now + delay
            r.due_at(score)
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
          score = r.pending_score(tonumber(priority), tonumber(f[9]), f[10] == '1')
          woken = woken + 1
        end
        redis.call('ZADD', base .. state, score, id)
        if op == 'release' then
          redis.call('HSET', key, 'state', state, 'attempts', attempts, 'alone', 0, 'settled', token)
        else
          redis.call('HSET', key, 'state', state, 'alone', 0, 'settled', token, 'error', text, 'history',
            r.history_with(f[11], string.format('%.0f attempt %d token %s: %s: %s', now, attempts, token, op, text)))
          if state == 'delayed' then redis.call('HSET', key, 'not_before', score) end
          if state == 'dead' or state == 'splitting' then redis.call('HSET', key, 'finished_at', now) end
          redis.call('HINCRBY', base .. 'counts', op, 1)
        end
        if state == 'dead' then r.count('left', priority, 1) end
      end
      if ended then ended[id] = state end
      states[n] = state
    end
    at = is_ack and at + 4 + fields or at + 5
  end

  if left[1] then redis.call('ZREM', base .. 'leased', unpack(left)) end
  for group, ids in pairs(left_by_group or {}) do redis.call('SREM', base .. 'outstanding:' .. group, unpack(ids)) end
  if scored_done[1] then redis.call('ZADD', base .. 'done', unpack(scored_done)) end
  if woken > 0 then rare().wake(woken) end
  return states, left, holders, priorities, done
end
