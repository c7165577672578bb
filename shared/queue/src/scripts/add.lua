-- Jobs added of whose id there was no hash, with their groups. Mostly they are new, but somebody may have removed a hash by hand: see forget_namesakes.
-- `left` are those of them that were counted as such.
local made, made_groups, left = {}, {}, {}

-- Adds one job whose description starts at ARGV[at]: id, group, priority, weight, delay ms, max attempts, number of fields, fields.
-- Returns the index of the next one, and the job's state or nil if its id is outstanding already.
local function add_job(at, parent, parent_enqueued_at)
  local id, group, priority, weight, delay, most, fields =
    ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], tonumber(ARGV[at + 4]), ARGV[at + 5], tonumber(ARGV[at + 6])
  local from = at + 7
  local key = '$job:' .. id
  local known = redis.pcall('HGET', key, 'state')
  if type(known) == 'table' then -- somebody gave the key another type by hand: it is no job
    redis.call('DEL', key)
    known = false
  end
  if known and known ~= 'done' then return from + fields, nil end
  if known then
    redis.call('ZREM', '$done', id)
    redis.call('DEL', key)
  end
  if not known then
    made[#made + 1] = id
    made_groups[id] = group
  end
  if group ~= '' then
    redis.call('SADD', '$groups', group)
    if redis.call('SADD', '$outstanding:' .. group, id) == 0 and not known and redis.call('ZREM', '$dead', id) == 0 then
      for _, other in ipairs({'pending', 'delayed', 'splitting'}) do redis.call('ZREM', '$' .. other, id) end
      count('left', priority, 1)
      left[id] = true
    end
  end
  local state = delay > 0 and 'delayed' or 'pending'
  local enqueued_at = parent_enqueued_at or now
  -- a claim looks for the first four at these places
  local record = {'state', state, 'priority', priority, 'attempts', '0', 'group', group, 'deaths', '0', 'max_attempts', most,
    'enqueued_at', string.format('%d', enqueued_at)}
  if weight ~= '0' then
    record[#record + 1] = WEIGHT_FIELD
    record[#record + 1] = weight
  end
  local separated
  for i = from, from + fields - 1 do
    record[#record + 1] = ARGV[i]
    separated = separated or string.find(ARGV[i], '[\30\31]')
  end
  if separated then
    record[#record + 1] = 'separated'
    record[#record + 1] = '\30' -- a claim looks for it
  end
  redis.call('HSET', key, unpack(record))
  if parent then redis.call('HSET', key, 'isolate', 1, 'parent', parent) end
  if delay > 0 then
    redis.call('HSET', key, 'not_before', now + delay)
    redis.call('ZADD', '$delayed', now + delay, id)
    due_at(now + delay)
  else
    redis.call('ZADD', '$pending', pending_score(priority, enqueued_at, parent ~= nil), id)
  end
  return from + fields, state
end

-- To be called after the last job was added. A job whose hash was removed by hand ends, wherever it still is listed: two jobs must not share an id.
local function forget_namesakes()
  if not made[1] then return end
  redis.call('ZREM', '$done', unpack(made))
  if not leave_strays(made, left) then return end
  for id, group in pairs(made_groups) do
    if group ~= '' then redis.call('SADD', '$outstanding:' .. group, id) end
  end
end

local PLAN_KEPT_MS = 14 * 24 * 3600 * 1000

-- A plan's version changes with everything that joins it.
local function bump_plan(group)
  local version = token_after(redis.call('GET', '$token'))
  redis.call('SET', '$token', version)
  redis.call('SET', '$plan:' .. group, version, 'PX', PLAN_KEPT_MS)
  return version
end
