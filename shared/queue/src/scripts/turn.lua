-- @include prelude
-- @rarely pending history leave collect_part retain
-- @include endings
-- What a worker has to tell and to ask, in one step: ends leases, then claims. Endings come first, so that a worker which ends its
-- only lease can be given a job that must run alone.
-- ARGV: worker, most jobs (-1: no claim is wanted), ttl ms, weight field, collect limit, retain count, retain ms, number of endings,
-- then per ending: op, id, token, text, delay ms, number of fields, fields
-- Reply: per ending the job's state now or, if the lease was lost, 'lost', in one text; if a claim was wanted also: paused or false, paused by,
-- paused since, draining 0/1, next due ms from now, born, then per job {field, value, …, id, token, attempts}. Few and flat lists, and numbers
-- that are text already: half the cost of a script is what passes between Lua and Redis.
local worker, most, ttl = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local worker_key = base .. 'worker:' .. worker

-- One command reads, and at the end one writes, whatever this turn needs beside jobs and sets.
local keys = {base .. 'paused', base .. 'token', base .. 'activity', base .. 'due', base .. 'born', worker_key .. ':alone',
  worker_key .. ':leases'}
local n = 7
for _, priority in ipairs(priorities) do
  n = n + 1
  keys[n] = base .. 'done:' .. priority
end
for _, holder in ipairs(holders) do
  if holder ~= worker then
    keys[n + 1], keys[n + 2] = base .. 'worker:' .. holder .. ':alone', base .. 'worker:' .. holder .. ':leases'
    n = n + 2
  end
end
local s = redis.call('MGET', unpack(keys))
local paused, last_token, activity, due, born, alone, holds = s[1], s[2], s[3], tonumber(s[4] or '0'), s[5], s[6], s[7] or ''
local held_before = holds
local update = {}

local trim = false
n = 7
for _, priority in ipairs(priorities) do
  n = n + 1
  local total = (s[n] or 0) + done[priority]
  update[#update + 1] = keys[n]
  update[#update + 1] = int(total)
  trim = trim or total % 500 < done[priority]
end
for _, holder in ipairs(holders) do
  local key, its_alone, kept = worker_key, alone, holds
  if holder ~= worker then
    key, its_alone, kept = base .. 'worker:' .. holder, s[n + 1], s[n + 2] or ''
    n = n + 2
  end
  for _, id in ipairs(left_by[holder]) do
    local from, to = string.find('\n' .. kept, '\n' .. id .. '\n', 1, true)
    if from then kept = string.sub(kept, 1, from - 1) .. string.sub(kept, to) end
    if id == its_alone then
      redis.call('DEL', key .. ':alone')
      its_alone = false
    end
  end
  if holder == worker then alone, holds = its_alone, kept else rare().save_holds(holder, kept) end
end

local function write()
  if holds ~= held_before then
    held_before = holds
    if holds == '' then
      redis.call('DEL', worker_key .. ':leases')
    else
      update[#update + 1] = worker_key .. ':leases'
      update[#update + 1] = holds
    end
  end
  if update[1] then redis.call('MSET', unpack(update)) end
  update = {}
end

if trim then rare().trim_done(tonumber(ARGV[6]), tonumber(ARGV[7]), 600) end
if most < 0 then
  write()
  return {table.concat(states, ' ')}
end

local silence = activity and now - activity or ttl
if activity and silence > ttl / 2 then rare().note_activity(activity, ttl) end
local due_before = due
if due <= now then
  write() -- what is collected below may be this worker's own
  local out = {expired = 0, dead = 0, splitting = 0, promoted = 0, held = 0}
  due = rare().collect(ttl, tonumber(ARGV[5]), ARGV[4], out)
  s = redis.call('MGET', worker_key .. ':alone', worker_key .. ':leases')
  alone, holds = s[1], s[2] or ''
  held_before = holds
end

local function answer(draining, jobs)
  if not born then
    born = time
    update[#update + 1] = base .. 'born'
    update[#update + 1] = born
  end
  if silence > ttl / 16 then
    update[#update + 1] = base .. 'activity'
    update[#update + 1] = time
  end
  if due ~= due_before then
    update[#update + 1] = base .. 'due'
    update[#update + 1] = int(due)
  end
  write()
  local by, since = '', '0'
  if paused then
    local who = redis.call('HMGET', base .. 'meta', 'paused_by', 'paused_at')
    by, since = who[1] or '', who[2] or '0'
  end
  return {table.concat(states, ' '), paused or false, by, since, draining, math.max(due - now, 0), born, unpack(jobs)}
end

if paused or most < 1 then return answer(0, {}) end
-- the worker of a job that must run alone gets nothing else
if alone then return answer(1, {}) end

local first = redis.call('ZPOPMIN', base .. 'pending', most)
if not first[1] then
  redis.call('DEL', base .. 'wake')
  return answer(0, {})
end
local ids = {}
for i = 1, #first, 2 do ids[#ids + 1] = first[i] end

local solo = string.sub(first[2], 1, 1) == '-'
if solo then
  -- Other rules hold, none of which are for what was just taken: it goes back.
  local back = {}
  for i = 1, #first, 2 do
    back[i] = first[i + 1]
    back[i + 1] = first[i]
  end
  redis.call('ZADD', base .. 'pending', unpack(back))
  local r = rare()
  local reserved = redis.call('GET', worker_key .. ':reserved')
  if holds == '' then
    ids = {ids[1]}
    if reserved then redis.call('DEL', worker_key .. ':reserved') end
  else
    solo = false
    -- This worker is busy. It reserves the job, so that it will run here at the latest, and gets nothing more until it is idle.
    local mine = reserved and redis.call('ZSCORE', base .. 'pending', reserved)
    if not mine or tonumber(mine) >= r.FREE then
      reserved = redis.call('ZRANGEBYSCORE', base .. 'pending', r.FREE, '(0', 'LIMIT', 0, 1)[1]
    end
    if reserved then
      redis.call('ZADD', base .. 'pending', r.RESERVED + now + ttl, reserved)
      redis.call('SET', worker_key .. ':reserved', reserved, 'PX', ttl)
      due = math.min(due, now + ttl)
      return answer(1, {})
    end
    ids = redis.call('ZRANGEBYSCORE', base .. 'pending', 0, '+inf', 'LIMIT', 0, most)
  end
  if not ids[1] then return answer(0, {}) end
  redis.call('ZREM', base .. 'pending', unpack(ids))
end

local until_ms = now + ttl
local until_text = int(until_ms)
local jobs, scored = {}, {}
for _, id in ipairs(ids) do
  local key = base .. 'job:' .. id
  local job = redis.call('HGETALL', key)
  if job[1] then
    local attempts = '1'
    for i = 1, #job, 2 do
      if job[i] == 'attempts' then
        attempts = int(job[i + 1] + 1)
        break
      end
    end
    last_token = math.max((last_token or 0) + 1, now_us)
    local token = int(last_token)
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
    local length = #job
    job[length + 1], job[length + 2], job[length + 3] = id, token, attempts
    jobs[#jobs + 1] = job
  end
end
if jobs[1] then
  redis.call('ZADD', base .. 'leased', unpack(scored))
  update[#update + 1] = base .. 'token'
  update[#update + 1] = int(last_token)
  due = math.min(due, until_ms)
end
return answer(0, jobs)
