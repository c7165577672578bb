-- @include lease_job token_after
-- Leases jobs that were taken out of the pending set, under tokens that follow `token`. Returns what lease_job says of each; nil if
-- none was leased.
local function lease_jobs(ids, worker, token, lease_until, isolate)
  local jobs = {}
  for _, id in ipairs(ids) do
    token = token_after(token)
    jobs[#jobs + 1] = lease_job(id, worker, token, lease_until, isolate)
  end
  if not jobs[1] then return nil end
  call('SET', prefix .. 'token', token)
  return jobs
end
