-- @include prelude token_after
-- Gives a token without a claim.
--
-- Reply: a token larger than every one before it
local token = token_after(call('GET', prefix .. 'token'))
call('SET', prefix .. 'token', token)
return tonumber(token)
