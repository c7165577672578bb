-- @include prelude pending token history leave collect_part retain settle_part
-- What a worker has to tell and to ask, in one step: ends leases, then claims. Endings come first, so that a worker which ends its
-- only lease can be given a job that must run alone.
-- ARGV: worker, most jobs (-1: no claim is wanted), ttl ms, weight field, collect limit, retain count, retain ms, number of endings,
-- then per ending: op, id, token, text, delay ms, number of fields, fields
-- Reply: {state now or '' if the lease was lost, per ending}; if a claim was wanted also: paused or false, paused by, paused since,
-- draining 0/1, next due ms from now, born, {{id, token, attempts, {field, value, …}}, …}
local worker, most, ttl = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local worker_key = base .. 'worker:' .. worker
local ended = settle(9, tonumber(ARGV[8]))

-- One command reads, and at the end one writes, whatever this turn needs beside jobs and sets.
local keys = {base .. 'paused', base .. 'token', base .. 'activity', base .. 'due', base .. 'born', worker_key .. ':alone',
  worker_key .. ':reserved', worker_key .. ':leases'}
local fixed = #keys
for _, priority in ipairs(ended.priorities) do keys[#keys + 1] = base .. 'done:' .. priority end
for _, holder in ipairs(ended.holders) do keys[#keys + 1] = base .. 'worker:' .. holder .. ':leases' end
local s = redis.call('MGET', unpack(keys))
local paused, last_token, activity, due, born, alone, reserved, holds = s[1], s[2], s[3], tonumber(s[4] or '0'), s[5], s[6], s[7], s[8] or ''
local update = {}
local function put(key, value)
  update[#update + 1] = key
  update[#update + 1] = value
end

local trim = false
for i, priority in ipairs(ended.priorities) do
  local jobs = ended.done[priority]
  local total = tonumber(s[fixed + i] or '0') + jobs
  put(keys[fixed + i], total)
  trim = trim or total % TRIM_EVERY < jobs
end
local held_before = holds
for i, holder in ipairs(ended.holders) do
  local kept = s[fixed + #ended.priorities + i] or ''
  for _, id in ipairs(ended.left_by[holder]) do kept = without(kept, id) end
  if holder == worker then holds = kept else save_holds(holder, kept) end
end

local function write()
  if holds ~= held_before then
    if holds == '' then redis.call('DEL', worker_key .. ':leases') else put(worker_key .. ':leases', holds) end
    held_before = holds
  end
  if #update > 0 then redis.call('MSET', unpack(update)) end
  update = {}
end

if trim then trim_done(tonumber(ARGV[6]), tonumber(ARGV[7]), TRIM_MOST) end
if most < 0 then
  write()
  return {ended.replies}
end

note_activity(activity, ttl)
if not born then
  born = now
  put(base .. 'born', born)
end
local due_before = due
if due <= now then
  write() -- what is collected below may be this worker's own
  local out = {expired = 0, dead = 0, splitting = 0, promoted = 0, held = 0}
  due = collect(ttl, tonumber(ARGV[5]), ARGV[4], out)
  s = redis.call('MGET', worker_key .. ':alone', worker_key .. ':leases')
  alone, holds = s[1], s[2] or ''
  held_before = holds
end

local function answer(draining, jobs)
  if not activity or now - tonumber(activity) > ttl / 16 then put(base .. 'activity', now) end
  if due ~= due_before then put(base .. 'due', due) end
  if #jobs > 0 then put(base .. 'token', last_token) end
  write()
  local by, since = '', 0
  if paused then
    local who = redis.call('HMGET', base .. 'meta', 'paused_by', 'paused_at')
    by, since = who[1] or '', tonumber(who[2] or '0')
  end
  return {ended.replies, paused or false, by, since, draining, math.max(due - now, 0), tonumber(born), jobs}
end

if paused or most < 1 then return answer(0, {}) end
-- the worker of a job that must run alone gets nothing else
if alone then return answer(1, {}) end

local first = redis.call('ZPOPMIN', base .. 'pending', most)
if #first == 0 then
  redis.call('DEL', base .. 'wake')
  return answer(0, {})
end
local ids = {}
for i = 1, #first, 2 do ids[#ids + 1] = first[i] end

local solo = tonumber(first[2]) < 0
if solo then
  -- Other rules hold, none of which are for what was just taken: it goes back.
  local back = {}
  for i = 1, #first, 2 do
    back[i] = first[i + 1]
    back[i + 1] = first[i]
  end
  redis.call('ZADD', base .. 'pending', unpack(back))
  if holds == '' then
    ids = {ids[1]}
    if reserved then redis.call('DEL', worker_key .. ':reserved') end
  else
    solo = false
    -- This worker is busy. It reserves the job, so that it will run here at the latest, and gets nothing more until it is idle.
    local mine = reserved and redis.call('ZSCORE', base .. 'pending', reserved)
    if not mine or tonumber(mine) >= FREE then
      reserved = redis.call('ZRANGEBYSCORE', base .. 'pending', FREE, '(0', 'LIMIT', 0, 1)[1]
    end
    if reserved then
      redis.call('ZADD', base .. 'pending', RESERVED + now + ttl, reserved)
      redis.call('SET', worker_key .. ':reserved', reserved, 'PX', ttl)
      due = math.min(due, now + ttl)
      return answer(1, {})
    end
    ids = redis.call('ZRANGEBYSCORE', base .. 'pending', 0, '+inf', 'LIMIT', 0, most)
  end
  if #ids == 0 then return answer(0, {}) end
  redis.call('ZREM', base .. 'pending', unpack(ids))
end

local until_ms = now + ttl
local jobs, scored = {}, {}
for _, id in ipairs(ids) do
  local key = base .. 'job:' .. id
  local job = redis.call('HGETALL', key)
  if #job > 0 then
    local attempts = 0
    for i = 1, #job, 2 do
      if job[i] == 'attempts' then
        attempts = tonumber(job[i + 1])
        break
      end
    end
    last_token = token_after(last_token)
    if solo then
      redis.call('HSET', key, 'state', 'leased', 'worker', worker, 'token', last_token, 'lease_until', until_ms, 'started_at', now,
        'attempts', attempts + 1, 'alone', 1)
      redis.call('SET', worker_key .. ':alone', id)
    else
      redis.call('HSET', key, 'state', 'leased', 'worker', worker, 'token', last_token, 'lease_until', until_ms, 'started_at', now,
        'attempts', attempts + 1)
    end
    holds = holds .. id .. '\n'
    scored[#scored + 1] = until_ms
    scored[#scored + 1] = id
    jobs[#jobs + 1] = {id, last_token, attempts + 1, job}
  end
end
if #jobs > 0 then
  redis.call('ZADD', base .. 'leased', unpack(scored))
  due = math.min(due, until_ms)
end
return answer(0, jobs)
