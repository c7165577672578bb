-- @include prelude
-- Nothing is handed out any more.
--
-- ARGV[5] reason
-- ARGV[6] who asks
-- ARGV[7] whose pause this one replaces; empty: nobody's
-- Reply: 1, or 0 if it was paused already, by somebody else: then the first reason stays
local reason, by, instead_of = ARGV[5], ARGV[6], ARGV[7]
if not call('SET', prefix .. 'paused', reason, 'NX') then
  if instead_of == '' or call('HGET', prefix .. 'meta', 'paused_by') ~= instead_of then return 0 end
  call('SET', prefix .. 'paused', reason)
end
call('HSET', prefix .. 'meta', 'paused_by', by, 'paused_at', now)
return 1
