-- @include constants number
-- Order of the pending set. Jobs that must run isolated come first, in two bands below zero: those that a busy worker
-- has reserved for itself (scored by when the reservation ends), then the free ones. Then all others by priority and
-- age.
-- Needs the job's priority, enqueued_at and isolate.
local function pending_score(job)
  local score = number(job.priority, 99, 0) * PRIORITY + number(job.enqueued_at, PRIORITY - 1, now)
  if job.isolate == '1' then return FREE + score end
  return score
end
