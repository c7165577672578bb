-- @include token_after
-- The next fencing token, which is the last one from now on, as text.
local function issue_token()
  local token = token_after(call('GET', prefix .. 'token'))
  call('SET', prefix .. 'token', token)
  return token
end
