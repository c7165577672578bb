-- @include tend_queue take_pending lease_jobs
-- Claims up to `most` jobs for a worker. Returns {now ms, when something is due next ms, birth µs, notice, jobs as of lease_jobs}. The notice is {};
-- {'draining'}: the worker gets nothing until its leases have ended; or {'paused', reason, by whom, since when}.
local function claim(worker, most)
  local queue = tend_queue(worker)
  local notice, jobs = {}, {}
  if queue.paused then
    local by, since = unpack(call('HMGET', prefix .. 'meta', 'paused_by', 'paused_at'))
    notice = {'paused', queue.paused, by or '', since or '0'}
  elseif most > 0 then
    local ids, isolate
    if not queue.isolated then ids, isolate = take_pending(worker, most) end
    if ids then jobs = lease_jobs(ids, worker, queue.token, isolate) else notice = {'draining'} end
    local expires = now + ttl_ms -- what was leased, or reserved
    if expires < queue.due and (jobs[1] or not ids) then
      queue.due = expires
      call('SET', prefix .. 'due', expires)
    end
  end
  return {now, queue.due, tonumber(queue.born), notice, jobs}
end
