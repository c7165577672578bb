-- Every script begins with this: names of keys, the queue's options, the time.
-- KEYS[1] the set of pending jobs: it routes the call, and its name begins like that of every key of the queue
-- KEYS[2] a key that never exists: while a Cluster moves the slot, Redis then refuses the script before its first
-- command
-- ARGV[1] ttl of a lease, ms
-- ARGV[2] done jobs that are kept
-- ARGV[3] how long they are kept, ms
-- ARGV[4] name of the field that holds a job's weight
-- What a script is told besides begins at ARGV[5].
local call = redis.call
local prefix = string.sub(KEYS[1], 1, -#'pending' - 1)
local ttl_ms, retain_done, retain_done_ms, weight_field = ARGV[1] + 0, ARGV[2], ARGV[3], ARGV[4]

-- Redis time in ms and µs, as the text that is written (to print a Lua number costs Redis half a command) and as the
-- number that is compared, which a double holds exactly until the year 2255.
local clock = call('TIME')
local seconds, micros = clock[1], clock[2]
if #micros < 6 then micros = string.sub('00000' .. micros, -6) end
local time, time_us = seconds .. string.sub(micros, 1, 3), seconds .. micros
local now, now_us = time + 0, time_us + 0
