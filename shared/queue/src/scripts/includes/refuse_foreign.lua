-- A queue belongs to whom its first user says: `owner`, a text whose first line is a name for people; each further line
-- is a mark by which the owner is known again. One mark in common is the same owner; the text is then what was said
-- last, since marks may change one at a time. Stamps a queue that has no owner yet, if `stamp`. Returns the error to
-- answer if it belongs to somebody else.
local function refuse_foreign(mine, stamp)
  if mine == '' then return nil end
  local theirs = call('GET', prefix .. 'owner')
  if theirs == mine then return nil end
  if theirs then
    local same = false
    for mark in string.gmatch(string.match(mine, '\n.*') or '', '[^\n]+') do
      same = same or string.find(theirs .. '\n', '\n' .. mark .. '\n', 1, true)
    end
    if not same then return {err = 'FOREIGN ' .. string.match(theirs, '^[^\r\n]*')} end
  end
  if stamp then call('SET', prefix .. 'owner', mine) end
  return nil
end
