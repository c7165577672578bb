-- Every script begins with this. KEYS[1] is the queue's pending set: it routes the call in a Cluster and names all other keys,
-- which share its hash tag. Time is Redis time; numbers stay exact in a double until the year 2255.
local base = string.sub(KEYS[1], 1, -8)
local clock = redis.call('TIME')
local now_us = clock[1] * 1000000 + clock[2]
local now = math.floor(now_us / 1000)

-- A number as text: redis.call would print it as a floating-point number, which takes ten times as long.
local function int(number) return string.format('%d', number) end
