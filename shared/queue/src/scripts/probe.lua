-- @include prelude
-- A write that needs memory goes through; nothing is left of it.
--
-- Reply: 1
call('SET', prefix .. 'probe', now)
return call('DEL', prefix .. 'probe')
