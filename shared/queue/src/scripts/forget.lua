-- @include prelude pending leave
-- Forgets a job that is not done. ARGV: id, '1' if a leased one may be forgotten too. Reply: 1 or 0
local id = ARGV[1]
local key = '$job:' .. id
local f = redis.pcall('HMGET', key, 'state', 'group', 'priority', 'worker', 'isolated')
if f.err or (not f[1] and redis.call('EXISTS', key) == 1) then
  -- Its key has another type, or no state, by hand: only the sets know where it is.
  for _, state in ipairs({'pending', 'delayed', 'splitting', 'dead'}) do
    if redis.call('ZREM', '$' .. state, id) == 1 and state ~= 'dead' then count('left', f[3], 1) end
  end
  leave_strays({id})
  leave_group(f[2], id)
  return redis.call('DEL', key)
end
if not f[1] or f[1] == 'done' or (f[1] == 'leased' and ARGV[2] ~= '1') then return 0 end
if f[1] == 'leased' then leave_lease(id, f[4] or '', f[5] == '1') else redis.call('ZREM', '$' .. f[1], id) end
leave_group(f[2], id)
if f[1] ~= 'dead' then count('left', f[3], 1) end
redis.call('DEL', key)
return 1
