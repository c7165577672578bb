-- At each hundredth job done some are forgotten, a few at a time, so that nobody waits for it.
local TRIM_EVERY, TRIM_MOST = 100, 120

-- How many jobs are done is one text, a line a priority, each after a line break.
local function add_finished(finished, priority, more)
  if not priority or not string.find(priority, '^%d%d?$') then priority = '0' end -- somebody changed it by hand
  local from, to, total = string.find(finished, '\n' .. priority .. ' (%d+)')
  total = (total or 0) + more
  if total % TRIM_EVERY < more then rare().trim_done(TRIM_MOST) end
  local line = '\n' .. priority .. ' ' .. string.format('%d', total)
  if not from then return finished .. line end
  return string.sub(finished, 1, from - 1) .. line .. string.sub(finished, to + 1)
end

-- The part of a turn that ends leases. Each ending reads its job just before it writes it, unless it is the ack of a job in its first attempt by who
-- holds the lease: its line in `lines`, what the worker holds, has all that is needed (see leave.lua). What the endings have in common is done at
-- last. Returns, in one text, each job's state now, or 'lost'; and of the worker's lines, its isolated job, the next due time and the counts of
-- jobs done what they are now. Tables are made when they are needed, with the room that most turns need (`{nil}`): growing one costs as much as a command.
local function end_leases(worker, worker_key, lines, isolated, due, finished)
  local states, left, done, left_by_group, woken = '', nil, nil, nil, 0
  local done_priority, done_count = nil, 0
  local at = 3
  while ARGV[at] do
    local op, id, token = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local key, is_ack, fields, used = '$job:' .. id, op == 'ack', 0, 3
    if op == 'ack_with' then
      is_ack, fields = true, ARGV[at + 3] + 0
      used = 4 + fields
    elseif not is_ack then
      used = 5
    end

    local state, job, priority, group, after = 'done', nil, nil, nil, nil
    local from, to = string.find(lines, '\n' .. id .. '\t' .. token .. '\t', 1, true)
    if from then priority, group, after = string.match(lines, '^([^\t\n]*)\t?([^\n]*)()', to + 1) end
    if not is_ack or not from or priority == '' then
      job = redis.pcall('HMGET', key, 'state', 'token', 'worker', 'group', 'priority', 'error', 'attempts', 'max_attempts', 'enqueued_at',
        'isolate', 'history', 'settled')
      if job.err then job = {} end -- somebody gave the key another type by hand: it is no job
      group, priority = job[4], job[5]
    end

    if job and (job[1] ~= 'leased' or job[2] ~= token) then
      -- Asked again because the first answer was lost: what the job is now. An ack may have left no mark; `settled` 0: done, but not by its holder.
      local again = job[2] == token and (job[12] == token or job[1] == 'done' and job[12] ~= '0')
      state = again and job[1] or 'lost'
    else
      if is_ack then
        if job then redis.call('HSET', key, 'settled', token, 'error', '') end
        local added = redis.pcall('HSET', key, 'state', 'done', 'finished_at', time, unpack(ARGV, at + 4, at + 3 + fields))
        if type(added) == 'table' then
          rare().refuse(added, key)
          state = 'lost'
        elseif added == 2 + fields / 2 then
          redis.call('DEL', key) -- somebody removed the job by hand: even `state` was new
          state = 'lost'
        end
      end
      left = left or {nil}
      left[#left + 1] = id
      if job and job[3] ~= worker then
        rare().leave_worker(id, job[3] or '')
      else
        if from then lines = string.sub(lines, 1, from - 1) .. string.sub(lines, after) end
        if id == isolated then
          redis.call('DEL', worker_key .. ':isolated')
          isolated = false
        end
      end
      if is_ack and group and group ~= '' then
        left_by_group = left_by_group or {}
        local ids = left_by_group[group]
        if ids then ids[#ids + 1] = id else left_by_group[group] = {id} end
      end

      if state == 'lost' then
        rare().count('left', priority, 1)
      elseif is_ack then
        done = done or {nil, nil}
        done[#done + 1] = time
        done[#done + 1] = id
        if priority ~= done_priority then
          if done_priority then finished = add_finished(finished, done_priority, done_count) end
          done_priority, done_count = priority, 0
        end
        done_count = done_count + 1
      else
        state, due, woken = rare().end_otherwise(op, id, token, job, at + 3, due, woken)
      end
    end
    states = at == 3 and state or states .. ' ' .. state
    at = at + used
  end

  if left then redis.call('ZREM', '$leased', unpack(left)) end
  if left_by_group then
    for group, ids in pairs(left_by_group) do redis.call('SREM', '$outstanding:' .. group, unpack(ids)) end
  end
  if done then
    redis.call('ZADD', '$done', unpack(done))
    finished = add_finished(finished, done_priority, done_count)
  end
  if woken > 0 then rare().wake(woken) end
  return states, lines, isolated, due, finished
end
