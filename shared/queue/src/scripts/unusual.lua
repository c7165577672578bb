-- Jobs that are not as a turn expects them: large ones, whose hash keeps no order, or changed by somebody with redis-cli.

-- `reply` is an error about a job's key. If the key has another type now, the job is gone; any other error ends the script.
local function refuse(reply, key)
  if string.sub(reply.err, 1, 9) ~= 'WRONGTYPE' then redis.call('HSET', key, 'state', 'done') end -- fails with the error's own code
end

-- An id that no answer can carry: somebody put it into `pending` by hand. It waits in `dead` for a person. Returns a job of no fields.
local function set_aside(id, key)
  redis.call('ZADD', '$dead', now, id)
  local fields = redis.pcall('HMGET', key, 'priority')
  if not fields.err and redis.call('EXISTS', key) == 1 then
    redis.call('HSET', key, 'state', 'dead', 'finished_at', now, 'error', 'its id has control characters')
    count('left', fields[1], 1)
  end
  return {}
end

-- The fields of a job with those first that a claim looks for.
local function in_order(job)
  local first = {state = 1, priority = 3, attempts = 5, group = 7}
  local ordered = {'state', '', 'priority', '0', 'attempts', '0', 'group', ''}
  for i = 1, #job, 2 do
    local place = first[job[i]] or #ordered + 1
    ordered[place], ordered[place + 1] = job[i], job[i + 1]
  end
  return ordered
end
