-- @include token_after constants ask_leases
-- Leases jobs that were taken out of the pending set, under tokens that follow `token`. Returns of each its `id`,
-- `token`, `attempts` with this one, and `fields` before it, names and values in turn; nil if none was leased. One that
-- has no record is no job any more, and is counted as that; `popped` are ids, each followed by its score, where known.
local function lease_jobs(ids, popped, worker, token, lease_until, isolate)
  local worker_key, jobs = prefix .. 'worker:' .. worker, nil
  for _, id in ipairs(ids) do
    local key, attempts = prefix .. 'job:' .. id, '1'
    local fields = redis.pcall('HGETALL', key)
    for i = 1, #fields, 2 do
      if fields[i] == 'attempts' and fields[i + 1] ~= '0' then
        -- seldom needed, hence made here alone
        -- @include number
        attempts = string.format('%d', number(fields[i + 1], COUNT_MOST, 0) + 1)
      end
    end
    if fields[1] then
      token = token_after(token)
      call('HSET', key, 'state', 'leased', 'worker', worker, 'token', token, 'lease_until', lease_until,
        'started_at', time, 'attempts', attempts)
      call('ZADD', prefix .. 'leased', lease_until, id)
      ask_leases(worker, 'HSET', id, token)
      if isolate then
        call('HSET', key, 'isolated', 1)
        call('SET', worker_key .. ':isolated', id)
      end
      jobs = jobs or {}
      jobs[#jobs + 1] = {id = id, token = token, attempts = attempts, fields = fields}
    else
      -- seldom needed, hence made here alone
      -- @include count_lost
      local score
      for i = 1, #popped, 2 do score = popped[i] == id and popped[i + 1] or score end
      count_lost(score)
    end
  end
  if jobs then call('SET', prefix .. 'token', token) end
  return jobs
end
