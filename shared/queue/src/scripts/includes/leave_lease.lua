-- @include ask_leases
-- A lease is in force no more: it leaves the leased set and its worker's list.
local function leave_lease(id, worker, isolated)
  call('ZREM', prefix .. 'leased', id)
  ask_leases(worker or '', 'HDEL', id)
  if isolated == '1' then call('DEL', prefix .. 'worker:' .. (worker or '') .. ':isolated') end
end
