-- KEYS: the progress, what is due, claims
-- ARGV: the place reached before or nothing, the place reached now, the progress's TTL in ms, how long what is due is
-- remembered in ms, then the sessions. Gives 0 when another was faster.
local reached = redis.call('HGET', KEYS[1], 'reached') or ''
if reached ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('HSET', KEYS[1], 'reached', ARGV[2])
redis.call('HSETNX', KEYS[1], 'since', now)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
for i = 5, #ARGV do
  redis.call('ZADD', KEYS[2], now, ARGV[i])
  redis.call('HDEL', KEYS[3], ARGV[i])
end
if #ARGV > 4 then redis.call('PEXPIRE', KEYS[2], ARGV[4]) end
return 1
