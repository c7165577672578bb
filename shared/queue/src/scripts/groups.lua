-- @include prelude
-- ARGV: cursor. Groups with outstanding jobs; empty ones are taken off the list. Reply: {cursor, {name, version, outstanding, …}}
local page = redis.call('SSCAN', '$groups', ARGV[1], 'COUNT', 100)
local reply = {}
for _, name in ipairs(page[2]) do
  local outstanding = redis.call('SCARD', '$outstanding:' .. name)
  if outstanding == 0 then
    redis.call('SREM', '$groups', name)
  else
    reply[#reply + 1] = name
    reply[#reply + 1] = tonumber(redis.call('GET', '$plan:' .. name) or '0')
    reply[#reply + 1] = outstanding
  end
end
return {page[1], reply}
