-- Every script begins with this. `'$` opens a text that begins with what all the queue's keys begin with, and names in capitals that no script
-- defines are the queue's options; both are put in by scripts.rs, since constants cost nothing, but arguments and texts joined here do.
-- Time is Redis time, in ms, as number and as text: redis.call would print a number as a floating-point one, which takes ten times as long.
-- Numbers stay exact in a double until the year 2255.
local clock = redis.call('TIME')
local us = clock[2]
if #us < 6 then us = string.sub('00000' .. us, -6) end
local time, time_us = clock[1] .. string.sub(us, 1, 3), clock[1] .. us
local now, now_us = time + 0, time_us + 0
