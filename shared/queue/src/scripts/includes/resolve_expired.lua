-- @include constants number
-- Decides what becomes of a job whose lease ran out; changes nothing. Returns the next state, and whether the job is
-- poison. The death of its worker is charged to every job that worker held, so it is run isolated from then on. One
-- that ran isolated has killed its worker itself: it is to be split if it can be, else it is poison the second time.
local function resolve_expired(job)
  if job.isolated == '1' then
    local weight = number(job[weight_field], 1e15, 0)
    if weight > 1 then return 'splitting', false end
    if number(job.isolated_deaths, COUNT_MOST, 0) >= 1 then return weight == 1 and 'splitting' or 'dead', true end
  end
  if number(job.attempts, COUNT_MOST, 0) >= number(job.max_attempts, COUNT_MOST, 1) then return 'dead', false end
  return 'pending', false
end
