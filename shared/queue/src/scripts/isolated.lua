-- The first of what was taken from `pending`, ids and scores, must run isolated. Other rules hold, none of which are for what was taken:
-- it goes back. Returns ids and scores to hand out and whether they run isolated, or nothing if the worker must end its leases first.
local function take_isolated(taken, worker_key, idle, most)
  local back = {}
  for i = 1, #taken, 2 do
    back[i] = taken[i + 1]
    back[i + 1] = taken[i]
  end
  redis.call('ZADD', '$pending', unpack(back))
  local reserved = redis.call('GET', worker_key .. ':reserved')
  local isolate = idle
  if idle then
    taken = {taken[1], taken[2]}
    if reserved then redis.call('DEL', worker_key .. ':reserved') end
  else
    -- This worker is busy. It reserves the job, so that it will run here at the latest, and gets nothing more until it is idle.
    local mine = reserved and redis.call('ZSCORE', '$pending', reserved)
    if not mine or tonumber(mine) >= FREE then
      reserved = redis.call('ZRANGEBYSCORE', '$pending', FREE, '(0', 'LIMIT', 0, 1)[1]
    end
    if reserved then
      redis.call('ZADD', '$pending', RESERVED + now + TTL_MS, reserved)
      redis.call('SET', worker_key .. ':reserved', reserved, 'PX', TTL_MS)
      return nil
    end
    taken = redis.call('ZRANGEBYSCORE', '$pending', 0, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
  end
  for i = 1, #taken, 2 do redis.call('ZREM', '$pending', taken[i]) end
  return taken, isolate
end
