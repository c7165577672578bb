local time = int(now)

-- False if the job is not there any more: somebody removed its hash by hand or set another type, which who has not read it finds out now.
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

-- The part of a turn that ends leases. Jobs that must be read are read before anything is written. An ack by who holds the lease reads nothing: its line
-- in `lines`, what the worker holds, has what it needs (see leave.lua). Returns, in one text, the job's state now, or 'lost', per ending; what
-- the worker holds then, and alone; when something is due next, given when it was; and, if any are done, the priorities, each followed by how many.
-- Tables are made when they are needed, with the room that most turns need (`{nil}`): growing one costs as much as a command.
local function end_leases(count, worker, worker_key, lines, alone, due)
  local read
  local at = 6
  for n = 1, count do
    local is_ack, id = ARGV[at] == 'ack', ARGV[at + 1]
    local from, to = string.find(lines, '\n' .. id .. '\t' .. ARGV[at + 2] .. '\t', 1, true)
    if not is_ack or not from or string.byte(lines, to + 1) == 10 then
      read = read or {}
      local job = redis.pcall('HMGET', base .. 'job:' .. id, 'state', 'token', 'worker', 'group', 'priority', 'error', 'attempts',
        'max_attempts', 'enqueued_at', 'solo', 'history', 'settled')
      read[n] = job.err and {} or job -- nothing of a job whose key somebody gave another type by hand: its lease is lost
    end
    at = is_ack and at + 4 + ARGV[at + 3] or at + 5
  end

  local states, left, done_at, done, left_by_group, woken = '', nil, nil, nil, nil, 0
  local ended = count > 1 and {}
  at = 6
  for n = 1, count do
    local f, op, id, token = read and read[n], ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local key, is_ack = base .. 'job:' .. id, op == 'ack'
    local fields, before, state = is_ack and tonumber(ARGV[at + 3]), ended and ended[id], 'done'
    if before or f and (f[1] ~= 'leased' or f[2] ~= token) then
      -- asked again because the first answer was lost: the same answer
      state = before or f[12] == token and f[1]
      if not state or f and f[2] ~= token then state = 'lost' end
    else
      local priority, group = f and f[5], f and f[4]
      if is_ack and not write_done(key, token, f and f[6], at + 4, fields) then state = 'lost' end
      left = left or {nil}
      left[#left + 1] = id
      if f and f[3] ~= worker then
        rare().leave_worker(id, f[3])
      else
        local from, to = string.find(lines, '\n' .. id .. '\t', 1, true)
        if from then
          local its_priority, its_group, last = string.match(lines, '^%d+\t(%d*)\t?([^\n]*)()', to + 1)
          priority, group = priority or its_priority, group or its_group
          lines = string.sub(lines, 1, from) .. string.sub(lines, last + 1)
        end
        if id == alone then
          redis.call('DEL', worker_key .. ':alone')
          alone = false
        end
      end

      if is_ack then
        if group and group ~= '' then
          left_by_group = left_by_group or {}
          local ids = left_by_group[group]
          if ids then ids[#ids + 1] = id else left_by_group[group] = {id} end
        end
      end
      if state == 'lost' then
        rare().count('left', priority, 1)
      elseif is_ack then
        done_at, done = done_at or {nil, nil}, done or {nil, nil}
        done_at[#done_at + 1] = time
        done_at[#done_at + 1] = id
        local place = 1
        while done[place] and done[place] ~= priority do place = place + 2 end
        done[place], done[place + 1] = priority, (done[place + 1] or 0) + 1
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
            due = math.min(due, score)
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
    end
    states = n == 1 and state or states .. ' ' .. state
    at = is_ack and at + 4 + fields or at + 5
  end

  if left then redis.call('ZREM', base .. 'leased', unpack(left)) end
  for group, ids in pairs(left_by_group or {}) do redis.call('SREM', base .. 'outstanding:' .. group, unpack(ids)) end
  if done_at then redis.call('ZADD', base .. 'done', unpack(done_at)) end
  if woken > 0 then rare().wake(woken) end
  return states, lines, alone, due, done
end
