-- The named fields of a job, by name. All are nil if there is no such job, or its key holds something else.
local function read_job(id, ...)
  local names, values, job = {...}, redis.pcall('HMGET', prefix .. 'job:' .. id, ...), {}
  for i = 1, #names do job[names[i]] = values[i] or nil end
  return job
end
