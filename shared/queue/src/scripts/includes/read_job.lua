-- The named fields of a job, by name. All are nil if there is no such job, or its key holds something else.
local function read_job(id, ...)
  local values, job = redis.pcall('HMGET', prefix .. 'job:' .. id, ...), {}
  for i, name in ipairs({...}) do job[name] = values[i] or nil end
  return job
end
