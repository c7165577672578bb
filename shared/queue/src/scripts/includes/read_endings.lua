-- The endings that stand from ARGV[at] on, each as: verb, id, token; then, of `ack`, number of texts and result fields
-- (names and values in turn); of `retry`, `bury`, `release` and `split`, reason and delay in ms.
local function read_endings(at)
  local endings = {}
  while ARGV[at] do
    local verb, id, token = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    if verb == 'ack' then
      local last = at + 3 + ARGV[at + 3]
      endings[#endings + 1] = {verb = verb, id = id, token = token, fields = {unpack(ARGV, at + 4, last)}}
      at = last + 1
    else
      endings[#endings + 1] = {verb = verb, id = id, token = token, reason = ARGV[at + 3], delay = ARGV[at + 4] + 0}
      at = at + 5
    end
  end
  return endings
end
