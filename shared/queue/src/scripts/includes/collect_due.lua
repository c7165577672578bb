-- @include expire_leases promote_delayed free_reservations next_due wake
-- Takes back what nobody renews and promotes what is due, 25 of each kind. Returns what expire_leases does, with
-- `promoted` and `due`: when there is something to collect next.
local function collect_due()
  local limit = 25
  local done = expire_leases(limit)
  local promoted, more_delayed = promote_delayed(limit)
  free_reservations(limit)
  if done.pending + promoted > 0 then wake(done.pending + promoted) end
  done.promoted = promoted
  done.full = done.full or more_delayed
  done.due = done.full and now or next_due(done.held)
  call('SET', prefix .. 'due', done.due)
  return done
end
