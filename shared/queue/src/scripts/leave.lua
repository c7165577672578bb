-- What a worker holds is one text, so that a turn reads and writes it together with other keys. A line a lease, each after a line break, parted by
-- tabs: id, token and, of a job in its first attempt, priority and group, which is all that an ack needs to know.
-- Returns the others' lines, and this one's if it is there.
local function without(holds, id)
  local from, after = string.find(holds, '\n' .. id .. '\t', 1, true)
  if not from then return holds end
  local next = string.find(holds, '\n', after, true) or #holds + 1
  return string.sub(holds, 1, from - 1) .. string.sub(holds, next), string.sub(holds, from + 1, next - 1)
end

local function count_lines(holds)
  local _, lines = string.gsub(holds or '', '\n', '')
  return lines
end

local function save_holds(worker, holds)
  local key = '$worker:' .. worker .. ':leases'
  if holds == '' then redis.call('DEL', key) else redis.call('SET', key, holds) end
end

-- A job's lease ends, whatever the reason.
local function leave_lease(id, worker, alone)
  redis.call('ZREM', '$leased', id)
  local holds = redis.call('GET', '$worker:' .. worker .. ':leases')
  if holds then save_holds(worker, without(holds, id)) end
  if alone then redis.call('DEL', '$worker:' .. worker .. ':alone') end
end

-- A lease ends that another worker than the caller held; errors of type cannot break it off.
local function leave_worker(id, worker)
  local key = '$worker:' .. worker
  local s = redis.call('MGET', key .. ':leases', key .. ':alone')
  if s[1] then save_holds(worker, without(s[1], id)) end
  if s[2] == id then redis.call('DEL', key .. ':alone') end
end

local function leave_group(group, id)
  if group and group ~= '' then redis.call('SREM', '$outstanding:' .. group, id) end
end

-- Jobs that are leased, but whose hash was removed or replaced by hand: nothing must be left by which their holders could end them. What is
-- known of them is in those workers' lines.
local function leave_strays(ids)
  redis.call('ZREM', '$leased', unpack(ids))
  for _, worker in ipairs(redis.call('ZRANGE', '$workers', 0, 999)) do
    local key = '$worker:' .. worker
    local s = redis.call('MGET', key .. ':leases', key .. ':alone')
    local holds = s[1] or ''
    for _, id in ipairs(ids) do
      local others, line = without(holds, id)
      if line then
        holds = others
        local priority, group = string.match(line, '\t%d+\t(%d+)\t(.*)$')
        if priority then count('left', priority, 1) end
        leave_group(group, id)
        if s[2] == id then redis.call('DEL', key .. ':alone') end
      end
    end
    if s[1] and holds ~= s[1] then save_holds(worker, holds) end
  end
end
