-- KEYS: the line   ARGV: ticket, longest line, the line's TTL in ms
-- Gives 1 when the ticket stands in the line, 0 when the line is full.
if redis.call('LPOS', KEYS[1], ARGV[1]) then return 1 end
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
