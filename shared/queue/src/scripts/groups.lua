-- @include prelude
-- A page of the groups with outstanding jobs; empty ones are taken off the list.
--
-- ARGV[5] cursor
-- Reply: {next cursor, {name, version of its plan, outstanding jobs, …}}
local cursor, groups = ARGV[5], {}
local next_cursor, names = unpack(call('SSCAN', prefix .. 'groups', cursor, 'COUNT', 100))
for _, name in ipairs(names) do
  local outstanding = call('SCARD', prefix .. 'outstanding:' .. name)
  if outstanding == 0 then
    call('SREM', prefix .. 'groups', name)
  else
    groups[#groups + 1] = name
    groups[#groups + 1] = tonumber(call('GET', prefix .. 'plan:' .. name) or '0')
    groups[#groups + 1] = outstanding
  end
end
return {next_cursor, groups}
