-- KEYS: what was last heard   ARGV: at in ms, what was heard, TTL in ms
local before = redis.call('GET', KEYS[1])
if before and tonumber(string.match(before, '^-?%d+')) > tonumber(ARGV[1]) then return end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2], 'PX', ARGV[3])
