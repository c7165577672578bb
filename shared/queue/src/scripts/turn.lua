-- @include prelude
-- @rarely pending history leave collect_part retain solo
-- @include endings
-- What a worker has to tell and to ask, in one step: ends leases, then claims. Endings come first, so that a worker which ends its
-- only lease can be given a job that must run alone.
-- ARGV: worker, most jobs (-1: no claim is wanted), ttl ms, 'collect-limit retain-count retain-ms weight-field', number of endings, then per
-- ending: op, id, token and, of an ack, number of fields, fields; of another, text, delay ms
-- Reply: per ending the job's state now or, if the lease was lost, 'lost', in one text; if a claim was wanted also: paused or false, paused by,
-- paused since, draining 0/1, next due ms from now, born, then per job a MessagePack list: field, value, …, attempts, token, id. Half the cost of
-- a script is what passes between Lua and Redis: few and flat lists, numbers that are text already, and what is rarely needed in one text.
-- Finished jobs are forgotten a few at a time, so that nobody waits for it.
local TRIM_EVERY, TRIM_MOST = 100, 120

local worker, most, ttl, count = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[5])
-- leases that are only ended are those of whoever held them
if worker == '' then
  local holder = redis.pcall('HGET', base .. 'job:' .. (ARGV[7] or ''), 'worker')
  worker = type(holder) == 'string' and holder or ''
end
local worker_key = base .. 'worker:' .. worker

-- One command reads, and at the end one writes, whatever this turn needs beside jobs and sets.
local s = redis.call('MGET', base .. 'paused', base .. 'token', base .. 'activity', base .. 'due', base .. 'born', worker_key .. ':alone',
  worker_key .. ':leases', base .. 'finished')
local paused, last_token, activity, due, born, alone = s[1], s[2], s[3], tonumber(s[4] or '0'), s[5], s[6]
local lines = '\n' .. (s[7] or '')
local lines_before, due_before = lines, due
local update = {nil, nil, nil, nil, nil, nil, nil, nil}
local u = 0

local function settings()
  local limit, retain, retain_ms, weight_field = string.match(ARGV[4], '^(%d+) (%d+) (%d+) (.*)$')
  return tonumber(limit), tonumber(retain), tonumber(retain_ms), weight_field
end

local states, done = '', nil
if count > 0 then
  states, lines, alone, due, done = end_leases(count, worker, worker_key, lines, alone, due)
end
if done then
  local finished = '\n' .. (s[8] or '')
  for i = 1, #done, 2 do
    local priority, more = done[i], done[i + 1]
    local from, to, total = string.find(finished, '\n' .. priority .. ' (%d+)\n')
    total = (total or 0) + more
    finished = string.sub(finished, 1, from or -1) .. priority .. ' ' .. int(total) .. '\n' .. (from and string.sub(finished, to + 1) or '')
    if total % TRIM_EVERY < more then
      local _, retain, retain_ms = settings()
      rare().trim_done(retain, retain_ms, TRIM_MOST)
    end
  end
  update[1], update[2] = base .. 'finished', string.sub(finished, 2)
  u = 2
end

local reply = {states, false, '', '0', 0, 0, born, nil}
if most >= 0 then
  local silence = activity and now - activity or ttl
  if activity and silence > ttl / 2 then rare().note_activity(activity, ttl) end
  if silence > ttl / 16 then
    update[u + 1], update[u + 2] = base .. 'activity', time
    u = u + 2
  end
  if due <= now then
    -- what is collected may be this worker's own
    if lines ~= lines_before then rare().save_holds(worker, string.sub(lines, 2)) end
    local limit, _, _, weight_field = settings()
    due = rare().collect(ttl, limit, weight_field, {expired = 0, dead = 0, splitting = 0, promoted = 0, held = 0})
    s = redis.call('MGET', worker_key .. ':alone', worker_key .. ':leases')
    alone, lines = s[1], '\n' .. (s[2] or '')
    lines_before = lines
  end
  if not born then
    reply[7] = int(now_us)
    update[u + 1], update[u + 2] = base .. 'born', reply[7]
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
      taken, solo = rare().take_solo(taken, worker_key, lines == '\n', most, ttl)
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
    local job = redis.pcall('HGETALL', key) -- of no length if somebody removed or replaced it by hand
    local length = #job
    if length > 0 then
      local priority, attempts, group
      if job[3] == 'priority' and job[5] == 'attempts' and job[7] == 'group' then
        priority, attempts, group = job[4], job[6], job[8]
      else
        local f = {attempts = '0'}
        for field = 1, length, 2 do f[job[field]] = job[field + 1] end
        priority, attempts, group = f.priority, f.attempts, f.group
      end
      local first = attempts == '0'
      attempts = first and '1' or int(attempts + 1)
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
      if first and priority and group then
        lines = lines .. id .. '\t' .. token .. '\t' .. priority .. '\t' .. group .. '\n'
      else
        lines = lines .. id .. '\t' .. token .. '\t\n'
      end
      scored[#scored + 1] = until_text
      scored[#scored + 1] = id
      job[length + 1], job[length + 2], job[length + 3] = attempts, token, id
      reply[7 + #scored / 2] = cmsgpack.pack(job)
    end
  end
  if token then
    redis.call('ZADD', base .. 'leased', unpack(scored))
    update[u + 1], update[u + 2] = base .. 'token', token
    u = u + 2
    due = math.min(due, until_ms)
  end
  reply[6] = math.max(due - now, 0)
end

if due ~= due_before then
  update[u + 1], update[u + 2] = base .. 'due', int(due)
  u = u + 2
end

if lines ~= lines_before then
  if lines == '\n' then
    redis.call('DEL', worker_key .. ':leases')
  else
    update[u + 1], update[u + 2] = worker_key .. ':leases', string.sub(lines, 2)
    u = u + 2
  end
end
if u > 0 then redis.call('MSET', unpack(update, 1, u)) end
return reply
