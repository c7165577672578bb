-- A lease that is not in force is off its worker's list, too: somebody removed or overwrote the job's record, and a worker
-- that seems to hold something is never given a job that must run isolated.
local function forget_lease(ending, worker)
  local worker_key = prefix .. 'worker:' .. worker
  if call('HGET', worker_key .. ':leases', ending.id) ~= ending.token then return end
  call('HDEL', worker_key .. ':leases', ending.id)
  if call('GET', worker_key .. ':isolated') == ending.id then call('DEL', worker_key .. ':isolated') end
end
