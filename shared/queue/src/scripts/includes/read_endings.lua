-- The endings that stand from ARGV[at] on, each as: verb (ack, retry, bury, release, split), id, token, reason, delay ms, number of texts, result
-- fields (names and values in turn).
local function read_endings(at)
  local endings = {}
  while ARGV[at] do
    local texts = tonumber(ARGV[at + 5])
    endings[#endings + 1] = {verb = ARGV[at], id = ARGV[at + 1], token = ARGV[at + 2], reason = ARGV[at + 3],
      delay = tonumber(ARGV[at + 4]), fields = {unpack(ARGV, at + 6, at + 5 + texts)}}
    at = at + 6 + texts
  end
  return endings
end
