-- KEYS: the Vigil, the noted Pulses, the open ones   ARGV: by, at in ms, TTL in ms, the target, why
local phase = redis.call('HGET', KEYS[1], 'phase')
if phase == 'TakingOver' or phase == 'Active' then
  redis.call('HSET', KEYS[1], 'phase', 'Released', 'released_by', ARGV[1], 'released_at', ARGV[2],
    'release_reason', ARGV[5], 'unanswered', 0)
  redis.call('DEL', KEYS[2])
  redis.call('ZREM', KEYS[3], ARGV[4])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return redis.call('HGETALL', KEYS[1])
