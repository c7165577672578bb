-- @include constants number pending_score
-- Decides what becomes of a job whose lease ended before it was done; changes nothing. Returns the next state, and the
-- job's score in that state's set.
local function resolve_undone(ending, job)
  local verb = ending.verb
  if verb == 'bury' then return 'dead', now end
  if verb == 'split' then return 'splitting', now end
  if verb == 'retry' then
    if number(job.attempts, COUNT_MOST, 0) >= number(job.max_attempts, COUNT_MOST, 1) then return 'dead', now end
    if ending.delay > 0 then return 'delayed', now + ending.delay end
  end
  return 'pending', pending_score(job)
end
