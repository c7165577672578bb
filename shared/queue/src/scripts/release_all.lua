-- @include prelude pending leave
-- Gives back what a worker holds, except the leases named: of a worker that ended, or whose claim was answered into the void.
-- No attempt is spent. ARGV: worker, limit, then id and token of leases to keep. Reply: how many were given back
local worker, limit = ARGV[1], tonumber(ARGV[2])
local keep = {}
for i = 3, #ARGV, 2 do keep[ARGV[i]] = ARGV[i + 1] end
local holds = redis.call('GET', '$worker:' .. worker .. ':leases')
if not holds then return 0 end
local left, released = holds, 0
for line, id in string.gmatch(holds, '\n(([^\t\n]+)\t[^\n]*)') do
  local key = '$job:' .. id
  local f = redis.pcall('HMGET', key, 'state', 'worker', 'token', 'attempts', 'priority', 'enqueued_at', 'isolate', 'isolated')
  local its_own = f[1] == 'leased' and f[2] == worker
  if not its_own or keep[id] ~= f[3] then
    left = without(left, id)
    if its_own then
      redis.call('ZREM', '$leased', id)
      redis.call('HSET', key, 'state', 'pending', 'attempts', math.max(whole(f[4], COUNT_MOST, 1) - 1, 0), 'isolated', 0)
      redis.call('ZADD', '$pending', pending_score(f[5], f[6], f[7] == '1'), id)
      if f[8] == '1' then redis.call('DEL', '$worker:' .. worker .. ':isolated') end
      released = released + 1
    elseif not f[1] and redis.call('ZREM', '$leased', id) == 1 then -- somebody removed it by hand
      leave_line(id, line)
    end
    if released >= limit then break end
  end
end
if left ~= holds then save_holds(worker, left) end
if released > 0 then wake(released) end
return released
