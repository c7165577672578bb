-- New jobs that stand from ARGV[at] on, each as: id, group, priority, weight, delay ms, max attempts, number of texts,
-- fields (names and values in turn).
local function read_jobs(at)
  local jobs = {}
  while ARGV[at] do
    local texts = tonumber(ARGV[at + 6])
    jobs[#jobs + 1] = {id = ARGV[at], group = ARGV[at + 1], priority = ARGV[at + 2], weight = ARGV[at + 3],
      delay = tonumber(ARGV[at + 4]), max_attempts = ARGV[at + 5], fields = {unpack(ARGV, at + 7, at + 6 + texts)}}
    at = at + 7 + texts
  end
  return jobs
end
