-- @include prelude pending token leave add
-- ARGV: parent, number of children, then the children (see add.lua; their group and priority are replaced by the parent's)
-- Reply: {1, children added} or {0, 0} if the parent does not wait to be split
local parent, children = ARGV[1], tonumber(ARGV[2])
local key = '$job:' .. parent
local f = redis.pcall('HMGET', key, 'state', 'group', 'priority', 'enqueued_at')
if f[1] ~= 'splitting' and f[1] ~= 'dead' then return {0, 0} end
f[2] = f[2] or ''
local enqueued_at = whole(f[4], PRIORITY - 1, now)
f[3] = string.format('%d', whole(f[3], 99, 0))
local at, added, ready = 3, 0, 0
for _ = 1, children do
  ARGV[at + 1], ARGV[at + 2] = f[2], f[3]
  local state
  at, state = add_job(at, parent, enqueued_at)
  if state then added = added + 1 end
  if state == 'pending' then ready = ready + 1 end
end
forget_namesakes()
redis.call('ZREM', '$' .. f[1], parent)
redis.call('ZADD', '$done', now, parent)
redis.call('HSET', key, 'state', 'done', 'finished_at', now, 'split_into', added)
leave_group(f[2], parent)
if f[1] == 'splitting' then count('left', f[3], 1) end
if added > 0 then
  count('added', f[3], added)
  if f[2] ~= '' then bump_plan(f[2]) end
  wake(ready)
end
redis.call('HINCRBY', '$counts', 'splits', 1)
return {1, added}
