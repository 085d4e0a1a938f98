-- KEYS: inbox, leases, order, attempts, speech   ARGV: ids
redis.call('HDEL', KEYS[1], unpack(ARGV))
redis.call('ZREM', KEYS[2], unpack(ARGV))
redis.call('ZREM', KEYS[3], unpack(ARGV))
redis.call('HDEL', KEYS[4], unpack(ARGV))
redis.call('HDEL', KEYS[5], unpack(ARGV))
