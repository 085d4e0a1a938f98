-- KEYS: the session's Vigil and its noted Pulses, the Spirit-wide Vigil and its
-- ARGV: the Pulse's id, at in ms, how many to note, their TTL in ms
for i = 1, 3, 2 do
  local phase = redis.call('HGET', KEYS[i], 'phase')
  if phase == 'TakingOver' or phase == 'Active' then
    if redis.call('ZADD', KEYS[i + 1], 'NX', ARGV[2], ARGV[1]) == 1 then
      redis.call('HINCRBY', KEYS[i], 'unanswered', 1)
      redis.call('HSET', KEYS[i], 'last_pulse_at', ARGV[2])
      redis.call('ZREMRANGEBYRANK', KEYS[i + 1], 0, -ARGV[3] - 1)
      redis.call('PEXPIRE', KEYS[i + 1], ARGV[4])
    end
  end
end
