-- A job's history with one more failure: one line each, oldest first, the latest 20, each at most 300 bytes.
local function history_with(job, token, failure)
  local line = string.format('%s attempt %s token %s: %s', time, job.attempts or 0, token or '', failure)
  local lines = {}
  for old in string.gmatch(job.history or '', '[^\n]+') do lines[#lines + 1] = old end
  lines[#lines + 1] = string.sub((string.gsub(line, '\n', ' ')), 1, 300)
  return table.concat(lines, '\n', math.max(1, #lines - 19))
end
