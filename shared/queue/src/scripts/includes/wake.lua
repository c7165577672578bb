-- One token in the wake list wakes one idle worker. A claim that finds nothing clears the list, so stale tokens cost
-- one look at most.
local function wake(jobs)
  local room = math.min(jobs, 500 - call('LLEN', prefix .. 'wake'))
  if room < 1 then return end
  local tokens = {}
  for i = 1, room do tokens[i] = '1' end
  call('RPUSH', prefix .. 'wake', unpack(tokens))
end
