-- KEYS: echoes, the lengths of all conversations   ARGV: the session, the number to stop before or nothing, how many
-- Gives the number of the oldest Echo that is kept, that of the first here, and the Echoes.
local kept = redis.call('LLEN', KEYS[1])
local length = math.max(tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or 0), kept)
local oldest = length - kept
local stop = length
if ARGV[2] ~= '' then stop = math.max(oldest, math.min(stop, tonumber(ARGV[2]))) end
local start = math.max(oldest, stop - ARGV[3])
if start == stop then return { oldest, start, {} } end
return { oldest, start, redis.call('LRANGE', KEYS[1], start - oldest, stop - oldest - 1) }
