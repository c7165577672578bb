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

-- A lease ends that another worker than the caller held; errors of type cannot break it off. Returns its line if it was there.
local function leave_worker(id, worker)
  local key = '$worker:' .. worker
  local s = redis.call('MGET', key .. ':leases', key .. ':alone')
  local others, line = without(s[1] or '', id)
  if line then save_holds(worker, others) end
  if s[2] == id then redis.call('DEL', key .. ':alone') end
  return line
end

local function leave_group(group, id)
  if group and group ~= '' then redis.call('SREM', '$outstanding:' .. group, id) end
end

-- Jobs that are leased, but whose hash was removed or replaced by hand: nothing must be left by which their holders could end them. What is
-- known of them is in those workers' lines: all of them are looked through once, however many jobs there are.
local function leave_strays(ids)
  redis.call('ZREM', '$leased', unpack(ids))
  local stray = {}
  for _, id in ipairs(ids) do stray[id] = true end
  local workers = redis.call('ZRANGE', '$workers', 0, 999)
  for first = 1, #workers, 100 do
    local keys = {}
    for i = first, math.min(first + 99, #workers) do keys[#keys + 1] = '$worker:' .. workers[i] .. ':leases' end
    for i, holds in ipairs(redis.call('MGET', unpack(keys))) do
      for id in string.gmatch(holds or '', '\n([^\t\n]+)\t') do
        if stray[id] then
          local priority, group = string.match(leave_worker(id, workers[first + i - 1]), '\t%d+\t(%d+)\t(.*)$')
          if priority then count('left', priority, 1) end
          leave_group(group, id)
        end
      end
    end
  end
end
