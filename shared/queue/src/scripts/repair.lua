-- @include prelude examine_job wake
-- Repairs one job, or says what is wrong with it.
--
-- ARGV[5] id
-- ARGV[6] '1' to repair it
-- ARGV[7] number of workers whose list was seen to name it
-- ARGV[8…] those workers, then the groups whose list was seen to name it
-- Reply: what is wrong, in words, one text each
local id, repair, workers = ARGV[5], ARGV[6] == '1', tonumber(ARGV[7])
local steps, faults = examine_job(id, {unpack(ARGV, 8, 7 + workers)}, {unpack(ARGV, 8 + workers)}), {}
for i, step in ipairs(steps) do
  local fault, command = unpack(step)
  faults[i] = fault
  if repair then call(unpack(command)) end
end
if repair and steps[1] then
  call('SET', prefix .. 'due', 0) -- it may be due
  wake(1)
end
return faults
