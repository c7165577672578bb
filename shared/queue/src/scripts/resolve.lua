-- @include prelude read_job finish_undone
-- A job that waits to be split, or is dead, is done without running.
--
-- ARGV[5] id
-- ARGV[6…] result fields, names and values in turn
-- Reply: 1, or 0 if it is in neither state
local id = ARGV[5]
local job = read_job(id, 'state', 'group', 'priority')
if job.state ~= 'splitting' and job.state ~= 'dead' then return 0 end
finish_undone(id, job, unpack(ARGV, 6))
return 1
