-- KEYS: the message   ARGV: its rank now, a TTL in ms
-- Gives 1 when it has moved forward.
if tonumber(redis.call('HGET', KEYS[1], 'rank') or 0) >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'rank', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
