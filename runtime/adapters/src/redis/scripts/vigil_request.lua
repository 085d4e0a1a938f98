-- KEYS: the Vigil   ARGV: reason, at in ms, TTL in ms
local phase = redis.call('HGET', KEYS[1], 'phase')
if not phase or phase == 'Watching' or phase == 'Released' then
  redis.call('HSET', KEYS[1], 'phase', 'Requested', 'requested_at', ARGV[2], 'request_reason', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return redis.call('HGETALL', KEYS[1])
