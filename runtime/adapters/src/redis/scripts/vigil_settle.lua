-- KEYS: the Vigil, those who speak
if redis.call('HGET', KEYS[1], 'phase') == 'TakingOver' then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  if redis.call('ZCARD', KEYS[2]) == 0 then redis.call('HSET', KEYS[1], 'phase', 'Active') end
end
return redis.call('HGETALL', KEYS[1])
