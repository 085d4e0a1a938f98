-- KEYS: the Vigil, the noted Pulses   ARGV: by, at in ms
local phase = redis.call('HGET', KEYS[1], 'phase')
if phase == 'TakingOver' or phase == 'Active' then
  if redis.call('HGET', KEYS[1], 'by') == '' then redis.call('HSET', KEYS[1], 'by', ARGV[1]) end
else
  redis.call('HSET', KEYS[1], 'phase', 'TakingOver', 'by', ARGV[1], 'since', ARGV[2], 'unanswered', 0)
  redis.call('HDEL', KEYS[1], 'last_pulse_at', 'released_at', 'released_by')
  redis.call('DEL', KEYS[2])
  -- A takeover that was forgotten would let the Spirit talk over the human.
  redis.call('PERSIST', KEYS[1])
end
return redis.call('HGETALL', KEYS[1])
