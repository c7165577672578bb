-- @include number
-- Leases one job to a worker. Returns {id, token, attempts with this one, fields before it}, the fields as names and values in turn; nil if there is no
-- such job any more.
local function lease_job(id, worker, token, isolate)
  local key, worker_key = prefix .. 'job:' .. id, prefix .. 'worker:' .. worker
  local fields = redis.pcall('HGETALL', key)
  if not fields[1] then return nil end
  local attempts = 1
  for i = 1, #fields, 2 do
    if fields[i] == 'attempts' then attempts = number(fields[i + 1], COUNT_MOST, 0) + 1 end
  end
  local lease_until = now + ttl_ms
  call('HSET', key, 'state', 'leased', 'worker', worker, 'token', token, 'lease_until', lease_until, 'started_at', now, 'attempts', attempts)
  call('ZADD', prefix .. 'leased', lease_until, id)
  call('HSET', worker_key .. ':leases', id, token)
  if isolate then
    call('HSET', key, 'isolated', 1)
    call('SET', worker_key .. ':isolated', id)
  end
  return {id, token, attempts, fields}
end
