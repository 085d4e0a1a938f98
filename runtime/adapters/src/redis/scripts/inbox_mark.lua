-- KEYS: inbox, speech   ARGV: id, speech, the inbox's TTL in ms
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return redis.call('PEXPIRE', KEYS[2], ARGV[3])
