-- The history with one more failure: one line each, oldest first, the latest 20, each at most 300 bytes.
local function history_with(history, line)
  local lines = {}
  for old in string.gmatch(history or '', '[^\n]+') do lines[#lines + 1] = old end
  lines[#lines + 1] = string.sub((string.gsub(line, '\n', ' ')), 1, 300)
  return table.concat(lines, '\n', math.max(1, #lines - 19))
end
