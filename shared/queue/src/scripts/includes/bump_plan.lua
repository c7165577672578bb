-- @include issue_token
-- Something joined a group's plan: it has a new version, which is a token, so that none comes back after a flush. Kept
-- for 14 days.
local function bump_plan(group)
  local version = issue_token()
  call('SET', prefix .. 'plan:' .. group, version, 'PX', 14 * 24 * 3600 * 1000)
  call('SADD', prefix .. 'groups', group)
  return tonumber(version)
end
