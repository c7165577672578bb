-- @include prelude issue_token
-- Gives a token without a claim.
--
-- Reply: a token larger than every one before it
return tonumber(issue_token())
