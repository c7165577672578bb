-- Everything that a queue keeps, as JSON. KEYS[1] pending set.
local base = string.sub(KEYS[1], 1, -8)
local token = redis.call('GET', base .. 'token') or '0'
local dump = {jobs = {}, listed = {}, held = {}, outstanding = {}, counts = {}, token = token}
local function record(flat)
  local fields = {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end
local function after(key, prefix) return string.sub(key, #base + #prefix + 1) end
for _, key in ipairs(redis.call('KEYS', base .. 'job:*')) do
  dump.jobs[after(key, 'job:')] = record(redis.call('HGETALL', key))
end
for _, state in ipairs({'pending', 'leased', 'delayed', 'splitting', 'dead', 'done'}) do
  for _, id in ipairs(redis.call('ZRANGE', base .. state, 0, -1)) do
    local sets = dump.listed[id] or {}
    sets[#sets + 1] = state
    dump.listed[id] = sets
  end
end
for _, key in ipairs(redis.call('KEYS', base .. 'worker:*:leases')) do
  dump.held[string.sub(after(key, 'worker:'), 1, -8)] = record(redis.call('HGETALL', key))
end
for _, key in ipairs(redis.call('KEYS', base .. 'outstanding:*')) do
  dump.outstanding[after(key, 'outstanding:')] = redis.call('SMEMBERS', key)
end
dump.counts = record(redis.call('HGETALL', base .. 'counts'))
return cjson.encode(dump)
