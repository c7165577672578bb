-- Takes up to `most` jobs out of the pending set, the most urgent first. Returns their ids, whether they run
-- isolated, and ids with scores, where known; nothing if the worker must end its leases first.
local function take_pending(worker, most)
  local popped = call('ZPOPMIN', prefix .. 'pending', most) -- ids, each followed by its score
  local first_score = popped[2]
  if first_score and string.sub(first_score, 1, 1) == '-' then
    -- seldom needed, hence made here alone
    -- @include take_isolated
    return take_isolated(popped, worker, most)
  end
  if not first_score then call('DEL', prefix .. 'wake') end
  local ids = {}
  for i = 1, #popped, 2 do ids[#ids + 1] = popped[i] end
  return ids, false, popped
end
