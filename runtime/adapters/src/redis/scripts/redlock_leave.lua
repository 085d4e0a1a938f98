-- KEYS: the Bond, the line   ARGV: token
-- Lets go unless somebody waits. Gives whether the Bond was the token's, and whether somebody waits.
local own = redis.call('GET', KEYS[1]) == ARGV[1] and 1 or 0
if redis.call('EXISTS', KEYS[2]) == 1 then return { own, 1 } end
if own == 1 then redis.call('DEL', KEYS[1]) end
return { own, 0 }
