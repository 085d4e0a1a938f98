-- KEYS: the Vigil, the noted Pulses   ARGV: by, at in ms, TTL in ms
local phase = redis.call('HGET', KEYS[1], 'phase')
if phase == 'TakingOver' or phase == 'Active' then
  redis.call('HSET', KEYS[1], 'phase', 'Released', 'released_by', ARGV[1], 'released_at', ARGV[2])
  redis.call('DEL', KEYS[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return redis.call('HGETALL', KEYS[1])
