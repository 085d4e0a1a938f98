-- KEYS: the Vigil, the noted Pulses, the open ones
-- ARGV: by, at in ms, the TTL of the open ones in ms, the target, how many open ones to know
local phase = redis.call('HGET', KEYS[1], 'phase')
if phase == 'TakingOver' or phase == 'Active' then
  if redis.call('HGET', KEYS[1], 'by') == '' then redis.call('HSET', KEYS[1], 'by', ARGV[1]) end
else
  redis.call('HSET', KEYS[1], 'phase', 'TakingOver', 'by', ARGV[1], 'since', ARGV[2], 'unanswered', 0)
  redis.call('HDEL', KEYS[1], 'last_pulse_at', 'released_at', 'released_by', 'release_reason')
  redis.call('DEL', KEYS[2])
  -- A takeover that was forgotten would let the Spirit talk over the human.
  redis.call('PERSIST', KEYS[1])
  redis.call('ZADD', KEYS[3], ARGV[2], ARGV[4])
  redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -ARGV[5] - 1)
  redis.call('PEXPIRE', KEYS[3], ARGV[3])
end
return redis.call('HGETALL', KEYS[1])
