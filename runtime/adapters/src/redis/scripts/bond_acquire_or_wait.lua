-- KEYS: the Bond, the fence, the line
-- ARGV: token, TTL in ms, ticket, how many to take, longest line, the line's TTL in ms
-- Gives the fence and the tickets; the fence is 0 for waiting and -1 for a full line.
local free = redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
local stands = redis.call('LPOS', KEYS[3], ARGV[3])
if not stands then
  if not free and redis.call('LLEN', KEYS[3]) >= tonumber(ARGV[5]) then return { -1, {} } end
  redis.call('RPUSH', KEYS[3], ARGV[3])
  redis.call('PEXPIRE', KEYS[3], ARGV[6])
end
if not free then return { 0, {} } end
return { redis.call('INCR', KEYS[2]), redis.call('LPOP', KEYS[3], ARGV[4]) }
