-- @include tend_queue take_pending lease_jobs
-- Claims up to `most` jobs for a worker. Returns, all numbers as text: `now` and `due`, when there is something to do next, ms; `born`, when this Redis
-- first knew the queue, µs; `jobs` as of lease_jobs, if there are any; `draining` if the worker gets nothing until its leases have ended; `paused`, if the
-- queue is, with `reason`, `by` and `since`.
local function claim(worker, most)
  local queue = tend_queue(worker)
  local reply = {now = time, due = queue.due, born = queue.born}
  if queue.paused then
    local by, since = unpack(call('HMGET', prefix .. 'meta', 'paused_by', 'paused_at'))
    reply.paused = {reason = queue.paused, by = by or '', since = since or '0'}
  elseif most > 0 then
    local ids, isolate
    if not queue.isolated then ids, isolate = take_pending(worker, most) end
    local expires = string.format('%d', now + ttl_ms) -- what is leased, or reserved
    if ids then reply.jobs = lease_jobs(ids, worker, queue.token, expires, isolate) else reply.draining = true end
    if tonumber(queue.due) > now + ttl_ms and (reply.jobs or reply.draining) then
      reply.due = expires
      call('SET', prefix .. 'due', expires)
    end
  end
  return reply
end
