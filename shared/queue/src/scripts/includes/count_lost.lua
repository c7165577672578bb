-- @include constants count
-- Counts a job that was outstanding and has no record any more, since somebody removed it: it left. With the record its
-- priority is lost, but for a `score` in the pending set; else it was most likely one of which most are outstanding.
local function count_lost(score)
  score = tonumber(score)
  if score and score >= FREE then
    local band = math.floor((score < 0 and score - FREE or score) / PRIORITY)
    count('left', string.format('%d', band), 1)
    return
  end
  local counts, outstanding = call('HGETALL', prefix .. 'counts'), {}
  for i = 1, #counts, 2 do
    local what, priority = string.match(counts[i], '^(%a+):(%d+)$')
    local jobs = tonumber(counts[i + 1]) or 0
    if what then outstanding[priority] = (outstanding[priority] or 0) + (what == 'added' and jobs or -jobs) end
  end
  local likely, most = '0', 0
  for priority, jobs in pairs(outstanding) do
    if jobs > most then likely, most = priority, jobs end
  end
  count('left', likely, 1)
end
