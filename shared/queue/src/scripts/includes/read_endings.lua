-- The endings that stand from ARGV[at] on, each as: verb, id, token; then, of `ack`, number of texts and result fields (names and values in turn); of
-- `retry`, `bury`, `release` and `split`, reason and delay in ms. Result fields stay in ARGV, at `first` to `last`.
local function read_endings(at)
  local endings = {}
  while ARGV[at] do
    local ending = {verb = ARGV[at], id = ARGV[at + 1], token = ARGV[at + 2]}
    if ending.verb == 'ack' then
      ending.first, ending.last = at + 4, at + 3 + ARGV[at + 3]
      at = ending.last + 1
    else
      ending.reason, ending.delay = ARGV[at + 3], ARGV[at + 4] + 0
      at = at + 5
    end
    endings[#endings + 1] = ending
  end
  return endings
end
