-- KEYS: the fence, the line   ARGV: ticket, how many to take, the line's TTL in ms, 1 if the ticket may not be in line yet
-- For the one who holds a majority: gives the next fence and the oldest tickets.
if ARGV[4] == '1' and not redis.call('LPOS', KEYS[2], ARGV[1]) then
  redis.call('RPUSH', KEYS[2], ARGV[1])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
return { redis.call('INCR', KEYS[1]), redis.call('LPOP', KEYS[2], ARGV[2]) or {} }
