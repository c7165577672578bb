-- The part of a turn that ends leases. Everything is read before anything is written: a key of a wrong type refuses the call without a
-- trace. Leaves in `states` the job's state now, or 'lost', per ending, and for the rest of the turn: the ids whose leases have ended
-- and, one for one, their workers, the priorities of which jobs
-- are done and, one for one, of how many.
-- Tables are made with the room that most turns need (`{nil}`), or not before they are needed: growing one costs as much as a command.
local states, left, holders, priorities, done, endings = {nil}, {nil}, {nil}, {nil}, {nil}, {nil}
local time = int(now)
local at = 9
local count = tonumber(ARGV[8])
for n = 1, count do
  local key = base .. 'job:' .. ARGV[at + 1]
  local job = redis.call('HMGET', key, 'state', 'token', 'worker', 'group', 'priority', 'error')
  if ARGV[at] ~= 'ack' or job[1] ~= 'leased' then
    job.more = redis.call('HMGET', key, 'attempts', 'max_attempts', 'enqueued_at', 'solo', 'history', 'settled')
  end
  endings[n] = job
  at = at + 6 + ARGV[at + 5]
end

if count > 0 then
  local scored_done, left_by_group, woken = {nil, nil}, nil, 0
  local ended = count > 1 and {}
  at = 9
  for n = 1, count do
    local f, op, id, token, fields = endings[n], ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 5]
    local key = base .. 'job:' .. id
    local before = ended and ended[id]
    if before or f[1] ~= 'leased' or f[2] ~= token then
      -- asked again because the first answer was lost: the same answer
      local settled = before or (f.more and f.more[6] == token and f[1])
      states[n] = f[2] == token and settled or 'lost'
    else
      local priority, state = f[5], 'done'
      left[#left + 1] = id
      holders[#left] = f[3]

      if op == 'ack' then
        if f[4] and f[4] ~= '' then
          left_by_group = left_by_group or {}
          local group = left_by_group[f[4]]
          if group then group[#group + 1] = id else left_by_group[f[4]] = {id} end
        end
        if f[6] and f[6] ~= '' then redis.call('HSET', key, 'error', '') end
        if fields ~= '0' then
          redis.call('HSET', key, 'state', 'done', 'finished_at', time, 'settled', token, unpack(ARGV, at + 6, at + 5 + fields))
        else
          redis.call('HSET', key, 'state', 'done', 'finished_at', time, 'settled', token)
        end
        scored_done[#scored_done + 1] = time
        scored_done[#scored_done + 1] = id
        local place = 1
        while priorities[place] and priorities[place] ~= priority do place = place + 1 end
        priorities[place] = priority
        done[place] = (done[place] or 0) + 1
      else
        local r, attempts, text, delay, score = rare(), tonumber(f.more[1]), ARGV[at + 3], tonumber(ARGV[at + 4]), now
        if op == 'retry' then
          if attempts >= tonumber(f.more[2]) then
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
          score = r.pending_score(tonumber(priority), tonumber(f.more[3]), f.more[4] == '1')
          woken = woken + 1
        end
        redis.call('ZADD', base .. state, score, id)
        if op == 'release' then
          redis.call('HSET', key, 'state', state, 'attempts', attempts, 'alone', 0, 'settled', token)
        else
          redis.call('HSET', key, 'state', state, 'alone', 0, 'settled', token, 'error', text, 'history',
            r.history_with(f.more[5], string.format('%.0f attempt %d token %s: %s: %s', now, attempts, token, op, text)))
          if state == 'delayed' then redis.call('HSET', key, 'not_before', score) end
          if state == 'dead' or state == 'splitting' then redis.call('HSET', key, 'finished_at', now) end
          redis.call('HINCRBY', base .. 'counts', op, 1)
        end
        if state == 'dead' then r.count('left', priority, 1) end
      end
      if ended then ended[id] = state end
      states[n] = state
    end
    at = at + 6 + fields
  end

  if left[1] then redis.call('ZREM', base .. 'leased', unpack(left)) end
  for group, ids in pairs(left_by_group or {}) do redis.call('SREM', base .. 'outstanding:' .. group, unpack(ids)) end
  if scored_done[1] then redis.call('ZADD', base .. 'done', unpack(scored_done)) end
  if woken > 0 then rare().wake(woken) end
end
