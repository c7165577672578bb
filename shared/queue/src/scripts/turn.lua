-- @include prelude
-- @rarely pending history leave reclaim retain isolated end_otherwise unusual
-- @include endings
-- What a worker has to tell and to ask, in one step: ends leases, then claims. Endings come first, so that a worker which ends its
-- only lease can be given a job that must run isolated.
-- ARGV: worker, most jobs (-1: no claim is wanted), then per ending: op, id, token and, of `ack`, nothing more, of `ack_with` number of fields,
-- fields, of others text, delay ms
-- Reply: one text of records parted by \30, their parts by \31. First: per ending the job's state now or, if the lease was lost, 'lost'; now, next due
-- time, each ms, birth; then 'draining', or 'paused', by whom, since when, why. Then a record a job: id, token, fields and values, attempts as they
-- are now; or only id and token, if a text of the job has one of the separators: it must be read from its hash.
-- Half the cost of a script is what passes between Lua and Redis: hence one text, numbers that are text already, and few arguments.
local worker, most = ARGV[1], ARGV[2] + 0
local LINES_MOST = 32768
-- leases that are only ended are those of whoever held them
if worker == '' then
  local holder = redis.pcall('HGET', '$job:' .. (ARGV[4] or ''), 'worker')
  worker = type(holder) == 'string' and holder or ''
end
local worker_key = '$worker:' .. worker
local leases_key = worker_key .. ':leases'

-- One command reads, and at the end one writes, whatever this turn needs beside jobs and sets.
local s = redis.call('MGET', '$paused', '$token', '$activity', '$due', '$born', '$finished', leases_key, worker_key .. ':isolated')
local paused, activity, due_text, born, finished, lines, isolated = s[1], s[3], s[4] or '0', s[5], s[6] or '', s[7] or '', s[8]
local due = due_text + 0
local due_before, finished_before, lines_before = due, finished, lines
local update = {nil, nil, nil, nil, nil, nil}
local u = 0

local states = ''
if ARGV[3] then states, lines, isolated, due, finished = end_leases(worker, worker_key, lines, isolated, due, finished) end
if finished ~= finished_before then
  update[1], update[2] = '$finished', finished
  u = 2
end

local notice, jobs = '', ''
if most >= 0 then
  local silence = activity and now - activity or TTL_MS
  if silence > TTL_MS / 16 then
    if activity then rare().note_activity(activity) end
    -- First of all, since a Redis without memory refuses this, but would let a claim and a collection pass: nothing may be handed out or charged
    -- with a death while its holder cannot renew it.
    redis.call('SET', '$activity', time)
  end
  if due <= now then
    -- what is collected may be this worker's own
    if lines ~= lines_before then rare().save_holds(worker, lines) end
    if u > 0 then redis.call('MSET', unpack(update, 1, u)) end
    due = rare().collect({expired = 0, dead = 0, splitting = 0, promoted = 0, held = 0})
    local holds = redis.call('MGET', leases_key, worker_key .. ':isolated')
    lines, isolated = holds[1] or '', holds[2]
    lines_before = lines
  end
  if not born then
    born = time_us
    update[u + 1], update[u + 2] = '$born', born
    u = u + 2
  end

  -- the jobs to hand out, each followed by its score
  local taken, isolate = {}, false
  if paused then
    local who = redis.call('HMGET', '$meta', 'paused_by', 'paused_at')
    notice = 'paused\31' .. (who[1] or '') .. '\31' .. (who[2] or '0') .. '\31' .. paused
  elseif most > 0 and (isolated or #lines > LINES_MOST) then
    notice = 'draining' -- the worker of a job that must run isolated gets nothing else, and each ending looks through the lines
  elseif most > 0 then
    taken = redis.call('ZPOPMIN', '$pending', most)
    if not taken[1] then
      redis.call('DEL', '$wake')
    elseif string.sub(taken[2], 1, 1) == '-' then
      taken, isolate = rare().take_isolated(taken, worker_key, lines == '', most)
      if not taken then
        taken, notice, due = {}, 'draining', math.min(due, now + TTL_MS)
      end
    end
  end

  local until_ms, last_token, token, scored = now + TTL_MS, (s[2] or 0) + 0, nil, {nil, nil}
  local until_text = string.format('%d', until_ms)
  for i = 1, #taken, 2 do
    local id = taken[i]
    local key = '$job:' .. id
    local job -- of no length if somebody removed or replaced it by hand
    if string.find(id, '%c') then job = rare().set_aside(id, key) else job = redis.pcall('HGETALL', key) end
    if #job > 0 then
      if job[1] ~= 'state' or job[3] ~= 'priority' or job[5] ~= 'attempts' or job[7] ~= 'group' then job = rare().in_order(job) end
      last_token = last_token + 1
      if last_token <= now_us then
        last_token, token = now_us, time_us
      else
        token = string.format('%d', last_token)
      end
      local attempts = job[6]
      if attempts == '0' and #job[4] < 3 and not string.find(job[8], '%c') then
        attempts = '1'
        lines = lines .. '\n' .. id .. '\t' .. token .. '\t' .. job[4] .. '\t' .. job[8]
      else
        attempts = string.format('%d', (tonumber(attempts) or 0) + 1)
        lines = lines .. '\n' .. id .. '\t' .. token .. '\t'
      end
      redis.call('HSET', key, 'state', 'leased', 'worker', worker, 'token', token, 'lease_until', until_text, 'started_at', time,
        'attempts', attempts)
      if isolate then
        redis.call('HSET', key, 'isolated', 1)
        redis.call('SET', worker_key .. ':isolated', id)
      end
      scored[#scored + 1] = until_text
      scored[#scored + 1] = id
      job[1], job[2], job[6] = id, token, attempts
      local record = table.concat(job, '\31')
      if string.find(record, '\30', 1, true) then record = id .. '\31' .. token end -- see add.lua
      jobs = jobs .. '\30' .. record
    end
  end
  if token then
    redis.call('ZADD', '$leased', unpack(scored))
    update[u + 1], update[u + 2] = '$token', token
    u = u + 2
    if until_ms < due then due = until_ms end
  end
end

if due ~= due_before then
  due_text = string.format('%d', due)
  update[u + 1], update[u + 2] = '$due', due_text
  u = u + 2
end
if lines ~= lines_before then
  if lines == '' then
    redis.call('DEL', leases_key)
  else
    update[u + 1], update[u + 2] = leases_key, lines
    u = u + 2
  end
end
if u > 0 then redis.call('MSET', unpack(update, 1, u)) end
return states .. '\31' .. time .. '\31' .. due_text .. '\31' .. (born or '0') .. '\31' .. notice .. jobs
