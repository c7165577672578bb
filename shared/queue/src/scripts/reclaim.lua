-- Takes back what nobody renews. Bounded by COLLECT_LIMIT per kind and call.

-- An expired lease is kept while its holder may not have been able to renew it: Redis was away (it has not been up for one ttl, or it
-- is another process than before), or no script ran for longer than half a ttl (a frozen Redis, a failover, a network cut off).
local function held_until()
  local hold = tonumber(redis.call('GET', '$hold_until') or '0')
  local ok, info = pcall(redis.call, 'INFO', 'server')
  if not ok or type(info) ~= 'string' then return hold end
  local run_id = string.match(info, 'run_id:(%w+)') or ''
  local uptime = tonumber(string.match(info, 'uptime_in_seconds:(%d+)') or '') or 0
  local known = redis.call('HGET', '$meta', 'run_id')
  if known ~= run_id then
    redis.call('HSET', '$meta', 'run_id', run_id)
    if known then
      hold = math.max(hold, now + TTL_MS)
      redis.call('SET', '$hold_until', hold)
    end
  end
  -- whole seconds, rounded down: this errs on the side of waiting
  return math.max(hold, now - uptime * 1000 + TTL_MS)
end

-- An expired lease: the death of its worker, which is charged to every job that worker held. Returns the id if there is no such job any more.
local function bury_or_return(id, out)
  local key = '$job:' .. id
  local f = redis.pcall('HMGET', key, 'state', 'worker', 'token', 'attempts', 'max_attempts', 'deaths', 'isolated_deaths', 'priority',
    'enqueued_at', 'isolated', 'history', WEIGHT_FIELD)
  if f[1] ~= 'leased' then return id end
  local attempts, most = whole(f[4], COUNT_MOST, 0), whole(f[5], COUNT_MOST, 1)
  local deaths, isolated_deaths = whole(f[6], COUNT_MOST, 0) + 1, whole(f[7], COUNT_MOST, 0)
  local isolated = f[10] == '1'
  local weight = whole(f[12], 1e15, 0)
  local worker = f[2] or ''
  if isolated then isolated_deaths = isolated_deaths + 1 end
  leave_lease(id, worker, isolated)

  local state, error, poison = 'pending', 'the lease of ' .. worker .. ' ran out', false
  if isolated and weight > 1 then
    state = 'splitting'
  elseif isolated and isolated_deaths >= 2 then
    poison = true
    if weight == 1 then state = 'splitting' else state = 'dead' end
  elseif attempts >= most then
    state = 'dead'
  end
  if isolated then error = error .. ' while it ran isolated' end
  local line = string.format('%.0f attempt %d token %s: %s', now, attempts, f[3] or '', error)
  redis.call('HSET', key, 'state', state, 'deaths', deaths, 'isolated_deaths', isolated_deaths, 'isolate', 1, 'isolated', 0, 'settled', 0, 'error', error,
    'history', history_with(f[11], line))
  if poison then redis.call('HSET', key, 'poison', 1) end
  redis.call('HINCRBY', '$counts', 'deaths', 1)
  if state == 'pending' then
    redis.call('ZADD', '$pending', pending_score(f[8], f[9], true), id)
    out.expired = out.expired + 1
  else
    redis.call('ZADD', '$' .. state, now, id)
    redis.call('HSET', key, 'finished_at', now)
    if state == 'dead' then count('left', f[8], 1) end
    out[state] = out[state] + 1
  end
end

local function collect(out)
  local full = false
  local expired = redis.call('ZRANGEBYSCORE', '$leased', '-inf', now, 'LIMIT', 0, COLLECT_LIMIT)
  if #expired > 0 then
    local hold = held_until()
    if hold > now then
      out.held = hold
    else
      local strays = {}
      for _, id in ipairs(expired) do strays[#strays + 1] = bury_or_return(id, out) end
      if strays[1] then leave_strays(strays) end
      full = #expired == COLLECT_LIMIT
    end
  end

  local due = redis.call('ZRANGEBYSCORE', '$delayed', '-inf', now, 'LIMIT', 0, COLLECT_LIMIT)
  if #due > 0 then
    for _, id in ipairs(due) do
      local f = redis.pcall('HMGET', '$job:' .. id, 'priority', 'enqueued_at', 'isolate', 'state')
      if f[4] == 'delayed' then -- else somebody removed it by hand, and perhaps another was made under its id
        redis.call('HSET', '$job:' .. id, 'state', 'pending')
        redis.call('ZADD', '$pending', pending_score(f[1], f[2], f[3] == '1'), id)
        out.promoted = out.promoted + 1
      end
    end
    redis.call('ZREM', '$delayed', unpack(due))
    full = full or #due == COLLECT_LIMIT
  end

  -- reservations whose worker does not call any more
  local stale = redis.call('ZRANGEBYSCORE', '$pending', RESERVED, RESERVED + now, 'LIMIT', 0, COLLECT_LIMIT)
  for _, id in ipairs(stale) do
    local f = redis.pcall('HMGET', '$job:' .. id, 'priority', 'enqueued_at')
    if f[1] then
      redis.call('ZADD', '$pending', pending_score(f[1], f[2], true), id)
    else
      redis.call('ZREM', '$pending', id)
    end
  end

  if out.expired + out.promoted > 0 then wake(out.expired + out.promoted) end
  out.more = full

  -- what becomes due next; if nothing is known, look again all the same
  local next_due = now + math.max(TTL_MS, 5000)
  if full then
    next_due = now
  else
    local first = redis.call('ZRANGE', '$leased', 0, 0, 'WITHSCORES')
    if first[2] then next_due = math.min(next_due, math.max(tonumber(first[2]), out.held)) end
    first = redis.call('ZRANGE', '$delayed', 0, 0, 'WITHSCORES')
    if first[2] then next_due = math.min(next_due, tonumber(first[2])) end
    first = redis.call('ZRANGEBYSCORE', '$pending', RESERVED, FREE - 1, 'WITHSCORES', 'LIMIT', 0, 1)
    if first[2] then next_due = math.min(next_due, tonumber(first[2]) - RESERVED) end
  end
  return next_due
end

-- Called by the scripts that a live fleet calls often.
local function note_activity(last)
  if last and now - tonumber(last) > TTL_MS / 2 then redis.call('SET', '$hold_until', now + TTL_MS) end
end
