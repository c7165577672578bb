-- @include ask_leases
-- A lease that is not in force is off its worker's list, too: somebody removed or overwrote the job's record, and a worker
-- that seems to hold something is never given a job that must run isolated. What is no token there is nobody's.
local function forget_lease(ending, worker)
  local listed = ask_leases(worker, 'HGET', ending.id)
  if not listed or (listed ~= ending.token and tonumber(listed)) then return end
  ask_leases(worker, 'HDEL', ending.id)
  local isolated = prefix .. 'worker:' .. worker .. ':isolated'
  if call('GET', isolated) == ending.id then call('DEL', isolated) end
end
