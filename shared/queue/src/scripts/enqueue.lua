-- @include prelude check_guard read_jobs add_job bump_plan wake
-- Adds jobs whose ids are not outstanding, in one step.
--
-- ARGV[5] token of the leader who asks, or '' if nothing is to be guarded
-- ARGV[6] the group it plans
-- ARGV[7] the version of the plan that it has read
-- ARGV[8…] the jobs, see includes/read_jobs.lua
-- Reply: {'ok', 'conflict' or 'deposed', added, deduplicated, version of the plan now}
local leader, group, expected = ARGV[5], ARGV[6], ARGV[7]
local verdict, version = 'ok', 0
if leader ~= '' then verdict, version = check_guard(leader, group, expected) end
if verdict ~= 'ok' then return {verdict, 0, 0, version} end

local jobs, added, ready, joined = read_jobs(8), 0, 0, {}
for _, job in ipairs(jobs) do
  local state = add_job(job)
  if state then
    added = added + 1
    if job.group ~= '' then joined[job.group] = true end
  end
  if state == 'pending' then ready = ready + 1 end
end
for name in pairs(joined) do version = bump_plan(name) end
wake(ready)
return {'ok', added, #jobs - added, version}
