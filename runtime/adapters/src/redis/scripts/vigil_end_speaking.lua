-- KEYS: those who speak in the session, those who speak in any   ARGV: fence, the name among those who speak in any
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[2])
