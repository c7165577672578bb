-- @include lease_job token_after
-- Leases jobs that were taken out of the pending set, under tokens that follow `last_token`. Returns what lease_job says of each.
local function lease_jobs(ids, worker, last_token, isolate)
  local token, jobs = last_token, {}
  for _, id in ipairs(ids) do
    token = token_after(token)
    jobs[#jobs + 1] = lease_job(id, worker, token, isolate)
  end
  if jobs[1] then call('SET', prefix .. 'token', token) end
  return jobs
end
