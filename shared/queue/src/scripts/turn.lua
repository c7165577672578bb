-- @include prelude
-- @rarely pending history leave collect_part retain solo
-- @include endings
-- What a worker has to tell and to ask, in one step: ends leases, then claims. Endings come first, so that a worker which ends its
-- only lease can be given a job that must run alone.
-- ARGV: worker, most jobs (-1: no claim is wanted), ttl ms, weight field, collect limit, retain count, retain ms, number of endings,
-- then per ending: op, id, token, text, delay ms, number of fields, fields
-- Reply: per ending the job's state now or, if the lease was lost, 'lost', in one text; if a claim was wanted also: paused or false, paused by,
-- paused since, draining 0/1, next due ms from now, born, then per job {field, value, …, 'attempts token id'}. Few and flat lists, and numbers
-- that are text already: half the cost of a script is what passes between Lua and Redis.
-- Finished jobs are forgotten a few at a time, so that nobody waits for it.
local TRIM_EVERY, TRIM_MOST = 100, 120

local worker, most, ttl = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
-- leases that are only ended are those of whoever held them
if worker == '' then worker = holders[1] or '' end
local worker_key = base .. 'worker:' .. worker

-- One command reads, and at the end one writes, whatever this turn needs beside jobs and sets.
local keys = {base .. 'paused', base .. 'token', base .. 'activity', base .. 'due', base .. 'born', worker_key .. ':alone',
  worker_key .. ':leases', priorities[1] and base .. 'done:' .. priorities[1]}
for i = 2, #priorities do keys[7 + i] = base .. 'done:' .. priorities[i] end
local s = redis.call('MGET', unpack(keys, 1, 7 + #priorities))
local paused, last_token, activity, due, born, alone, holds = s[1], s[2], s[3], tonumber(s[4] or '0'), s[5], s[6], s[7] or ''
local holds_before, due_before = holds, due
local update = {nil, nil, nil, nil, nil, nil, nil, nil}
local u = 0

for i = 1, #priorities do
  local total = (s[7 + i] or 0) + done[i]
  update[u + 1], update[u + 2] = keys[7 + i], int(total)
  u = u + 2
  if total % TRIM_EVERY < done[i] then rare().trim_done(tonumber(ARGV[6]), tonumber(ARGV[7]), TRIM_MOST) end
end
for i, id in ipairs(left) do
  if holders[i] ~= worker then
    rare().leave_worker(id, holders[i])
  else
    local from, to = string.find('\n' .. holds, '\n' .. id .. '\n', 1, true)
    if from then holds = string.sub(holds, 1, from - 1) .. string.sub(holds, to) end
    if id == alone then
      redis.call('DEL', worker_key .. ':alone')
      alone = false
    end
  end
end

local reply = {table.concat(states, ' '), false, '', '0', 0, 0, born, nil}
if most >= 0 then
  local silence = activity and now - activity or ttl
  if activity and silence > ttl / 2 then rare().note_activity(activity, ttl) end
  if silence > ttl / 16 then
    update[u + 1], update[u + 2] = base .. 'activity', time
    u = u + 2
  end
  if due <= now then
    -- what is collected may be this worker's own
    if holds ~= holds_before then rare().save_holds(worker, holds) end
    due = rare().collect(ttl, tonumber(ARGV[5]), ARGV[4], {expired = 0, dead = 0, splitting = 0, promoted = 0, held = 0})
    s = redis.call('MGET', worker_key .. ':alone', worker_key .. ':leases')
    alone, holds = s[1], s[2] or ''
    holds_before = holds
  end
  if not born then
    reply[7] = time
    update[u + 1], update[u + 2] = base .. 'born', time
    u = u + 2
  end
  if paused then
    local who = redis.call('HMGET', base .. 'meta', 'paused_by', 'paused_at')
    reply[2], reply[3], reply[4] = paused, who[1] or '', who[2] or '0'
  end

  -- the jobs to hand out, each followed by its score
  local taken, solo = {}, false
  local may_claim = not paused and most > 0
  if may_claim and alone then
    reply[5] = 1 -- the worker of a job that must run alone gets nothing else
  elseif may_claim then
    taken = redis.call('ZPOPMIN', base .. 'pending', most)
    if not taken[1] then
      redis.call('DEL', base .. 'wake')
    elseif string.sub(taken[2], 1, 1) == '-' then
      taken, solo = rare().take_solo(taken, worker_key, holds == '', most, ttl)
      if not taken then
        taken, reply[5], due = {}, 1, math.min(due, now + ttl)
      end
    end
  end

  local until_ms = now + ttl
  local until_text = int(until_ms)
  local scored, token = {nil, nil}, nil
  for i = 1, #taken, 2 do
    local id = taken[i]
    local key = base .. 'job:' .. id
    local job = redis.call('HGETALL', key)
    local length = #job
    if length > 0 then
      local attempts = '1'
      for field = 1, length, 2 do
        if job[field] == 'attempts' then
          attempts = int(job[field + 1] + 1)
          break
        end
      end
      last_token = math.max((last_token or 0) + 1, now_us)
      token = int(last_token)
      if solo then
        redis.call('HSET', key, 'state', 'leased', 'worker', worker, 'token', token, 'lease_until', until_text, 'started_at', time,
          'attempts', attempts, 'alone', 1)
        redis.call('SET', worker_key .. ':alone', id)
      else
        redis.call('HSET', key, 'state', 'leased', 'worker', worker, 'token', token, 'lease_until', until_text, 'started_at', time,
          'attempts', attempts)
      end
      holds = holds .. id .. '\n'
      scored[#scored + 1] = until_text
      scored[#scored + 1] = id
      job[length + 1] = attempts .. ' ' .. token .. ' ' .. id
      reply[7 + #scored / 2] = job
    end
  end
  if token then
    redis.call('ZADD', base .. 'leased', unpack(scored))
    update[u + 1], update[u + 2] = base .. 'token', token
    u = u + 2
    due = math.min(due, until_ms)
  end
  if due ~= due_before then
    update[u + 1], update[u + 2] = base .. 'due', int(due)
    u = u + 2
  end
  reply[6] = math.max(due - now, 0)
end

if holds ~= holds_before then
  if holds == '' then
    redis.call('DEL', worker_key .. ':leases')
  else
    update[u + 1], update[u + 2] = worker_key .. ':leases', holds
    u = u + 2
  end
end
if u > 0 then redis.call('MSET', unpack(update, 1, u)) end
return reply
