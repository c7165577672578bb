-- @include reserve
-- The first of what was popped must run isolated, so other rules hold, none of which are for what was popped: it goes
-- back. A worker that holds nothing gets the first, even if another has reserved it. A busy one reserves a job; if
-- others have reserved all there are, it gets ordinary ones. Returns as take_pending.
local function take_isolated(popped, worker, most)
  local pending, worker_key = prefix .. 'pending', prefix .. 'worker:' .. worker
  for i = 1, #popped, 2 do call('ZADD', pending, popped[i + 1], popped[i]) end
  if call('EXISTS', worker_key .. ':leases') == 0 then
    call('ZREM', pending, popped[1])
    call('DEL', worker_key .. ':reserved')
    return {popped[1]}, true, popped
  end
  if reserve(worker_key) then return nil end
  local ordinary = call('ZRANGEBYSCORE', pending, 0, '+inf', 'LIMIT', 0, most)
  if ordinary[1] then call('ZREM', pending, unpack(ordinary)) end
  return ordinary, false, {}
end
