-- KEYS: the Bond, the line   ARGV: token, TTL in ms, how many to take
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {} end
local tickets = redis.call('LPOP', KEYS[2], ARGV[3])
if tickets then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return tickets
end
redis.call('DEL', KEYS[1])
return {}
