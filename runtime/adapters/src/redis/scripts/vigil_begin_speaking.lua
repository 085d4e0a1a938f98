-- KEYS: the Spirit-wide Vigil, the session's, its fence, those who speak in the session, those who speak in any
-- ARGV: fence, its TTL in ms, for how many ms, the name among those who speak in any
-- Gives nothing when it is granted, 'fenced' and the newest fence, or 'human' and the Watch.
local newest = redis.call('GET', KEYS[3])
if newest and tonumber(newest) > tonumber(ARGV[1]) then return { 'fenced', newest } end
redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])
for i = 1, 2 do
  local phase = redis.call('HGET', KEYS[i], 'phase')
  if phase == 'TakingOver' or phase == 'Active' then
    local watch = redis.call('HGETALL', KEYS[i])
    table.insert(watch, 1, 'human')
    return watch
  end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 4, 5 do
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
  redis.call('ZADD', KEYS[i], now + ARGV[3], i == 4 and ARGV[1] or ARGV[4])
  if redis.call('PTTL', KEYS[i]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[i], ARGV[3]) end
end
return {}
