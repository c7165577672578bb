-- @include prelude constants read_job number read_jobs add_job bump_plan wake finish_undone
-- Replaces a job that waits to be split, or is dead, by others, which have its group, priority and age.
--
-- ARGV[5] the parent's id
-- ARGV[6…] the children, see includes/read_jobs.lua
-- Reply: {1, children added}, or {0, 0} if the parent does not wait to be split
local id = ARGV[5]
local parent = read_job(id, 'state', 'group', 'priority', 'enqueued_at')
if parent.state ~= 'splitting' and parent.state ~= 'dead' then return {0, 0} end
local added, ready = 0, 0
for _, child in ipairs(read_jobs(6)) do
  child.parent, child.group = id, parent.group or ''
  child.priority = string.format('%d', number(parent.priority, 99, 0))
  child.enqueued_at = number(parent.enqueued_at, PRIORITY - 1, now)
  local state = add_job(child)
  if state then added = added + 1 end
  if state == 'pending' then ready = ready + 1 end
end
finish_undone(id, parent, 'split_into', added)
if added > 0 and parent.group and parent.group ~= '' then bump_plan(parent.group) end
wake(ready)
call('HINCRBY', prefix .. 'counts', 'splits', 1)
return {1, added}
