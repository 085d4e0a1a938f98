-- KEYS: the Vigil, the open ones   ARGV: reason, at in ms, TTL in ms, the target, how many open ones to know
local phase = redis.call('HGET', KEYS[1], 'phase')
if not phase or phase == 'Watching' or phase == 'Released' then
  redis.call('HSET', KEYS[1], 'phase', 'Requested', 'requested_at', ARGV[2], 'request_reason', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  redis.call('ZADD', KEYS[2], ARGV[2], ARGV[4])
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -ARGV[5] - 1)
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
return redis.call('HGETALL', KEYS[1])
