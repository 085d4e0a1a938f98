-- KEYS: the session's entries, the Pulse's   ARGV: the entry, then how many to keep and the TTL in ms for each of both
for i = 1, 2 do
  redis.call('RPUSH', KEYS[i], ARGV[1])
  redis.call('LTRIM', KEYS[i], -ARGV[i * 2], -1)
  redis.call('PEXPIRE', KEYS[i], ARGV[i * 2 + 1])
end
