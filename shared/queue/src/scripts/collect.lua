-- @include prelude pending token history leave reclaim retain
-- Reply: {expired, dead, splitting, promoted, trimmed, held 0/1, more 0/1}
note_activity(redis.call('GET', '$activity'))
redis.call('SET', '$activity', now) -- first of all: see turn.lua
local out = {expired = 0, dead = 0, splitting = 0, promoted = 0, held = 0}
local due = collect(out)
redis.call('SET', '$due', string.format('%d', due))
local trimmed = trim_done(TRIM_MOST)
local more = (out.more or trimmed == TRIM_MOST) and 1 or 0
return {out.expired, out.dead, out.splitting, out.promoted, trimmed, out.held > 0 and 1 or 0, more}
