-- Whether the leader still leads and the group's plan still has the version that it read. Returns 'ok', 'deposed' or
-- 'conflict', and the version now.
local function check_guard(leader, group, expected)
  local leads = call('GET', prefix .. 'leader')
  if not leads or string.match(leads, '^(%d+) ') ~= leader then return 'deposed', 0 end
  local version = call('GET', prefix .. 'plan:' .. group) or '0'
  return version == expected and 'ok' or 'conflict', tonumber(version)
end
