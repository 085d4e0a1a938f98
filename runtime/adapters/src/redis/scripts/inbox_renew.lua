-- KEYS: inbox, leases, attempts   ARGV: id, attempts beyond the first, lease in µs
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
if (redis.call('HGET', KEYS[3], ARGV[1]) or '0') ~= ARGV[2] then return 0 end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[2], time[1] * 1000000 + time[2] + ARGV[3], ARGV[1])
return 1
