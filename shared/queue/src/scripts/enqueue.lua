-- @include prelude pending token leave add
-- ARGV: leader token or '', guarded group, expected version, number of jobs, then the jobs (see add.lua)
-- Reply: {'ok' | 'conflict' | 'deposed', added, deduplicated, version}
local leader, guarded, expected, jobs = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if leader ~= '' then
  local leads = redis.call('GET', '$leader')
  if not leads or string.match(leads, '^(%d+) ') ~= leader then return {'deposed', 0, 0, 0} end
  local version = redis.call('GET', '$plan:' .. guarded) or '0'
  if version ~= expected then return {'conflict', 0, 0, tonumber(version)} end
end
local at, added, ready = 5, 0, 0
local by_priority, groups = {}, {}
for _ = 1, jobs do
  local group, priority = ARGV[at + 1], ARGV[at + 2]
  local state
  at, state = add_job(at)
  if state then
    added = added + 1
    if state == 'pending' then ready = ready + 1 end
    by_priority[priority] = (by_priority[priority] or 0) + 1
    if group ~= '' then groups[group] = true end
  end
end
forget_namesakes()
for priority, n in pairs(by_priority) do count('added', priority, n) end
local version = 0
for group in pairs(groups) do version = bump_plan(group) end
if leader ~= '' and version == 0 then version = tonumber(expected) end
if ready > 0 then wake(ready) end
return {'ok', added, jobs - added, version}
