-- @include prelude note_activity collect_due trim_done
-- Takes back what nobody renews, promotes what is due, forgets what is done.
--
-- Reply: {expired leases that are pending again, dead, splitting, promoted, trimmed, held 0/1, more 0/1}
note_activity(call('GET', prefix .. 'activity'))
local done = collect_due()
local limit = 600 -- about a millisecond
local trimmed = trim_done(limit)
local more = done.full or trimmed == limit
return {done.pending, done.dead, done.splitting, done.promoted, trimmed, done.held > 0 and 1 or 0, more and 1 or 0}
