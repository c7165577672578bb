-- A lease is in force no more: it leaves the leased set and its worker's list. Needs the job's worker and isolated.
local function leave_lease(id, job)
  local worker_key = prefix .. 'worker:' .. (job.worker or '')
  call('ZREM', prefix .. 'leased', id)
  call('HDEL', worker_key .. ':leases', id)
  if job.isolated == '1' then call('DEL', worker_key .. ':isolated') end
end
