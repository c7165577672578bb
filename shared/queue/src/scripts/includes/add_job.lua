-- @include read_job pending_score count due_at
-- Adds one job as of read_jobs, unless its id is outstanding. A child of a split has `parent` as well, its parent's
-- `enqueued_at`, and runs isolated. Returns the job's state; nil if it was not added.
local function add_job(job)
  local key = prefix .. 'job:' .. job.id
  local known = read_job(job.id, 'state').state
  if known and known ~= 'done' then return nil end
  if known then call('ZREM', prefix .. 'done', job.id) end
  call('DEL', key)
  local state, fields = job.delay > 0 and 'delayed' or 'pending', job.fields
  local function add_field(name, value)
    table.insert(fields, name)
    table.insert(fields, value)
  end
  if job.group ~= '' then
    local joins = call('SADD', prefix .. 'outstanding:' .. job.group, job.id) == 1
    if not joins and not known then
      -- seldom needed, hence made here alone
      -- @include drop_lost
      drop_lost(job.id) -- somebody removed its record before
    end
    add_field('group', job.group)
  end
  if job.weight ~= '0' then add_field(weight_field, job.weight) end
  job.enqueued_at = job.enqueued_at or time
  call('HSET', key, 'state', state, 'priority', job.priority, 'attempts', 0, 'deaths', 0,
    'max_attempts', job.max_attempts, 'enqueued_at', job.enqueued_at, unpack(fields))
  if job.parent then
    job.isolate = '1'
    call('HSET', key, 'isolate', 1, 'parent', job.parent)
  end
  if state == 'delayed' then
    call('HSET', key, 'not_before', now + job.delay)
    call('ZADD', prefix .. 'delayed', now + job.delay, job.id)
    due_at(now + job.delay)
  else
    call('ZADD', prefix .. 'pending', pending_score(job), job.id)
  end
  count('added', job.priority, 1)
  return state
end
