-- @include tend_queue take_pending lease_jobs
-- Claims up to `most` jobs for a worker. `most` and all numbers that are returned are text: `now` and `due`, when there
-- is something to do next, ms; `born`, when this Redis first knew the queue, µs; `jobs` as of lease_jobs, if there are
-- any; `draining` if the worker gets nothing until its leases have ended; `paused`, if the queue is, with `reason`,
-- `by` and `since`.
local function claim(worker, most)
  local reason, token, due, born, isolated = tend_queue(worker)
  local paused, draining, jobs
  if reason then
    local by, since = unpack(call('HMGET', prefix .. 'meta', 'paused_by', 'paused_at'))
    paused = {reason = reason, by = by or '', since = since or '0'}
  elseif most ~= '0' then
    local ids, isolate, popped
    if not isolated then ids, isolate, popped = take_pending(worker, most) end
    local expires = string.format('%d', now + ttl_ms) -- what is leased, or reserved
    if ids then jobs = lease_jobs(ids, popped, worker, token, expires, isolate) else draining = true end
    if due + 0 > now + ttl_ms and (jobs or draining) then
      due = expires
      call('SET', prefix .. 'due', due)
    end
  end
  return {now = time, due = due, born = born, paused = paused, draining = draining, jobs = jobs}
end
