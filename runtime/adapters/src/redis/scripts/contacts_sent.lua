-- KEYS: the message   ARGV: the Pulse that it answered, a TTL in ms
redis.call('HSET', KEYS[1], 'pulse', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
