-- Asks a worker's list of leases, a hash. One of another type is of an older release, or somebody's mistake: it goes, as
-- the jobs' records are the truth, and no job may be lost with it.
local function ask_leases(worker, command, ...)
  local key = prefix .. 'worker:' .. worker .. ':leases'
  local answer = redis.pcall(command, key, ...)
  if type(answer) ~= 'table' or not answer.err then return answer end
  if call('TYPE', key).ok ~= 'hash' then call('DEL', key) end
  return call(command, key, ...)
end
