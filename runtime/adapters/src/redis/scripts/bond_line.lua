-- KEYS: the Bond, the line   ARGV: token, how many to take
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {} end
return redis.call('LPOP', KEYS[2], ARGV[2]) or {}
