-- KEYS: what is due, claims, attempts
-- ARGV: the session, the token, until when from now in ms, 1 to begin with the first attempt
-- Gives 0 when the claim was lost.
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[3]), ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
if ARGV[4] == '1' then redis.call('HDEL', KEYS[3], ARGV[1]) end
return 1
