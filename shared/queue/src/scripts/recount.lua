-- @include prelude
-- Corrects the counts of outstanding jobs, unless jobs were added or ended since they were read.
--
-- ARGV[5…] for each priority: its number, jobs that are outstanding, and what was read of `added`, `done` and `left`
-- ('' for nothing)
-- Reply: 1, or 0 if the counts have moved
local counts = prefix .. 'counts'
for i = 5, #ARGV, 5 do
  local priority = ARGV[i]
  local names = {'added:' .. priority, 'done:' .. priority, 'left:' .. priority}
  for place, value in ipairs(call('HMGET', counts, unpack(names))) do
    if (value or '') ~= ARGV[i + 1 + place] then return 0 end
  end
end
for i = 5, #ARGV, 5 do
  local priority, outstanding = ARGV[i], ARGV[i + 1]
  local added, done, left = tonumber(ARGV[i + 2]) or 0, tonumber(ARGV[i + 3]) or 0, tonumber(ARGV[i + 4]) or 0
  call('HINCRBY', counts, 'left:' .. priority, added - done - left - outstanding)
end
return 1
