-- @include constants read_job pending_score
-- Isolated jobs whose reservation ended, since its worker does not call any more, are free again, at most `limit`.
local function free_reservations(limit)
  local pending = prefix .. 'pending'
  for _, id in ipairs(call('ZRANGEBYSCORE', pending, RESERVED, RESERVED + now, 'LIMIT', 0, limit)) do
    local job = read_job(id, 'priority', 'enqueued_at')
    job.isolate = '1'
    call('ZADD', pending, pending_score(job), id)
  end
end
