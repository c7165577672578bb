-- Leases one job to a worker. Returns its `id`, `token`, `attempts` with this one, and `fields` before it, names and values in turn; nil if there is no such
-- job any more.
local function lease_job(id, worker, token, lease_until, isolate)
  local key, worker_key = prefix .. 'job:' .. id, prefix .. 'worker:' .. worker
  local fields, attempts = redis.pcall('HGETALL', key), '1'
  if not fields[1] then return nil end
  for i = 1, #fields, 2 do
    if fields[i] == 'attempts' and fields[i + 1] ~= '0' then
      -- @include number
      attempts = string.format('%d', number(fields[i + 1], COUNT_MOST, 0) + 1)
    end
  end
  call('HSET', key, 'state', 'leased', 'worker', worker, 'token', token, 'lease_until', lease_until, 'started_at', time, 'attempts', attempts)
  call('ZADD', prefix .. 'leased', lease_until, id)
  call('HSET', worker_key .. ':leases', id, token)
  if isolate then
    call('HSET', key, 'isolated', 1)
    call('SET', worker_key .. ':isolated', id)
  end
  return {id = id, token = token, attempts = attempts, fields = fields}
end
