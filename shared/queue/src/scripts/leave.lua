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
local function leave_lease(id, worker, isolated)
  redis.call('ZREM', '$leased', id)
  local holds = redis.call('GET', '$worker:' .. worker .. ':leases')
  if holds then save_holds(worker, without(holds, id)) end
  if isolated then redis.call('DEL', '$worker:' .. worker .. ':isolated') end
end

-- A lease ends that another worker than the caller held; errors of type cannot break it off. Returns its line if it was there.
local function leave_worker(id, worker)
  local key = '$worker:' .. worker
  local s = redis.call('MGET', key .. ':leases', key .. ':isolated')
  local others, line = without(s[1] or '', id)
  if line then save_holds(worker, others) end
  if s[2] == id then redis.call('DEL', key .. ':isolated') end
  return line
end

local function leave_group(group, id)
  if group and group ~= '' then redis.call('SREM', '$outstanding:' .. group, id) end
end

-- What the line of a lease tells of a job that is gone. It may be counted as left already.
local function leave_line(id, line, counted)
  local priority, group = string.match(line, '\t%d+\t(%d+)\t(.*)$')
  if priority and not counted then count('left', priority, 1) end
  leave_group(group, id)
end

-- If some of these jobs are leased, their hash was removed or replaced by hand: nothing must be left by which their holders could end them. What is
-- known of them is in those workers' lines: they are looked through once, however many jobs there are, those of the thousand workers heard of last.
-- Returns whether one was leased.
local function leave_strays(ids, counted)
  local strays = redis.call('ZREM', '$leased', unpack(ids))
  if strays == 0 then return false end
  local stray = {}
  for _, id in ipairs(ids) do stray[id] = true end
  local workers = redis.call('ZREVRANGE', '$workers', 0, 999)
  for first = 1, #workers, 100 do
    local keys = {}
    for i = first, math.min(first + 99, #workers) do keys[#keys + 1] = '$worker:' .. workers[i] .. ':leases' end
    for i, holds in ipairs(redis.call('MGET', unpack(keys))) do
      local from = holds and string.find(holds, '\n', 1, true)
      while from do
        local to = string.find(holds, '\t', from, true) or from
        local id = string.sub(holds, from + 1, to - 1)
        if stray[id] then
          leave_line(id, leave_worker(id, workers[first + i - 1]), counted and counted[id])
          strays = strays - 1
          if strays == 0 then return true end
        end
        from = string.find(holds, '\n', to, true)
      end
    end
  end
  return true
end
