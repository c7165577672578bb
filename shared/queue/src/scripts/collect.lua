-- @include prelude pending token history leave collect_part retain
-- ARGV: ttl ms, limit, weight field, retain count, retain ms
-- Reply: {expired, dead, splitting, promoted, trimmed, held 0/1, more 0/1}
local ttl, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
note_activity(redis.call('GET', base .. 'activity'), ttl)
local out = {expired = 0, dead = 0, splitting = 0, promoted = 0, held = 0}
local due = collect(ttl, limit, ARGV[3], out)
redis.call('MSET', base .. 'activity', now, base .. 'due', due)
local trimmed = trim_done(tonumber(ARGV[4]), tonumber(ARGV[5]), TRIM_MOST)
local more = (out.more or trimmed == TRIM_MOST) and 1 or 0
return {out.expired, out.dead, out.splitting, out.promoted, trimmed, out.held > 0 and 1 or 0, more}
