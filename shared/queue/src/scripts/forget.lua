-- @include prelude read_job leave_lease leave_group count drop_lost
-- Forgets a job that is not done.
--
-- ARGV[5] id
-- ARGV[6] '1' if a leased one may be forgotten too
-- Reply: 1, or 0 if there is none such
local id, leased_too = ARGV[5], ARGV[6] == '1'
local job = read_job(id, 'state', 'group', 'priority', 'worker', 'isolated')
if job.state == 'done' or job.state == 'leased' and not leased_too then return 0 end
-- the sets know where it is, also of a record that names no state
if not job.priority then drop_lost(id) end
for _, state in ipairs({'pending', 'leased', 'delayed', 'splitting', 'dead'}) do
  local listed = call('ZREM', prefix .. state, id) == 1
  if listed and state ~= 'dead' then count('left', job.priority, 1) end
end
leave_lease(id, job.worker, job.isolated)
leave_group(id, job.group)
return call('DEL', prefix .. 'job:' .. id)
