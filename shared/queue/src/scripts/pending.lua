-- Order of the pending set. Jobs that must run isolated come first, in two bands below zero: those that a busy worker has reserved
-- for itself (scored by when the reservation ends), then the free ones. Then all others by priority and age.
local RESERVED = -2e15
local FREE = -1e15
local PRIORITY = 1e13
local WAKE_MOST = 500

-- A number of a job's hash; `otherwise` if somebody wrote something else there by hand: no script may break off for one job.
local function whole(text, most, otherwise)
  local number = tonumber(text)
  if number and number >= 0 and number <= most then return math.floor(number) end
  return otherwise
end

local COUNT_MOST = 1e9

local function pending_score(priority, enqueued_at, isolate)
  local score = whole(priority, 99, 0) * PRIORITY + whole(enqueued_at, PRIORITY - 1, now)
  if isolate then return FREE + score end
  return score
end

-- One token in the wake list wakes one idle worker; an empty claim clears the list, so that stale tokens cost one look at most.
local function wake(jobs)
  local room = math.min(jobs, WAKE_MOST - redis.call('LLEN', '$wake'))
  if room == 1 then
    redis.call('RPUSH', '$wake', '1')
  elseif room > 1 then
    local tokens = {}
    for i = 1, room do tokens[i] = '1' end
    redis.call('RPUSH', '$wake', unpack(tokens))
  end
end

-- `due` is a lower bound of the time when something may become due; whoever adds something earlier lowers it.
local function due_at(time)
  local due = redis.call('GET', '$due')
  if due and tonumber(due) > time then redis.call('SET', '$due', time) end
end

local function count(what, priority, by)
  return redis.call('HINCRBY', '$counts', what .. ':' .. string.format('%d', whole(priority, 99, 0)), by)
end
