-- KEYS: the recollection, the fence   ARGV: fence, its TTL in ms, the recollection, its TTL in ms
-- Gives the newest fence when it refuses.
local newest = redis.call('GET', KEYS[2])
if newest and tonumber(newest) > tonumber(ARGV[1]) then return newest end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return false
