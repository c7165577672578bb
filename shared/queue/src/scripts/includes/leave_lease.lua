-- A lease is in force no more: it leaves the leased set and its worker's list.
local function leave_lease(id, worker, isolated)
  local worker_key = prefix .. 'worker:' .. (worker or '')
  call('ZREM', prefix .. 'leased', id)
  call('HDEL', worker_key .. ':leases', id)
  if isolated == '1' then call('DEL', worker_key .. ':isolated') end
end
