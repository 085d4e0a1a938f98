-- KEYS: the session's entries, where the Pulse's are
-- ARGV: the entry, how many to keep, their TTL in ms, the session, how long to know where the Pulse's are in ms
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], -ARGV[2], -1)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[5])
