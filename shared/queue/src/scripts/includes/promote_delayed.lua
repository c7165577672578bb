-- @include read_job pending_score
-- Delayed jobs whose time has come are pending, at most `limit`. Returns how many, and whether there are more.
local function promote_delayed(limit)
  local promoted = 0
  local due = call('ZRANGEBYSCORE', prefix .. 'delayed', '-inf', now, 'LIMIT', 0, limit)
  for _, id in ipairs(due) do
    local job = read_job(id, 'state', 'priority', 'enqueued_at', 'isolate')
    call('ZREM', prefix .. 'delayed', id)
    if job.state == 'delayed' then
      call('HSET', prefix .. 'job:' .. id, 'state', 'pending')
      call('ZADD', prefix .. 'pending', pending_score(job), id)
      promoted = promoted + 1
    elseif not job.state then
      -- seldom needed, hence made here alone
      -- @include count_lost
      count_lost()
    end
  end
  return promoted, #due == limit
end
