-- @include prelude owner
-- Whether the queue is the caller's. ARGV: owner, '1' to make it so if it is nobody's. Reply: 1, or the error FOREIGN and who owns it
return refuse_other(ARGV[1], ARGV[2] == '1') or 1
