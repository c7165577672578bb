-- Numbers that several scripts share.
-- COUNT_MOST: most attempts or deaths that a record is believed. RESERVED, FREE: where the two bands of isolated jobs
-- begin in the pending set; PRIORITY: what one step of a priority counts there, see pending_score.lua.
local COUNT_MOST, RESERVED, FREE, PRIORITY = 1e9, -2e15, -1e15, 1e13
