-- KEYS: what is due, claims, attempts
-- ARGV: the token, the most, the lease in ms, how long what is due is remembered in ms
-- Gives the session and the attempt of each.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now), 'LIMIT', 0, ARGV[2])
local claimed = {}
for _, session in ipairs(due) do
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[3]), session)
  redis.call('HSET', KEYS[2], session, ARGV[1])
  claimed[#claimed + 1] = session
  claimed[#claimed + 1] = tostring(redis.call('HINCRBY', KEYS[3], session, 1))
end
if #due > 0 then
  for key = 1, 3 do redis.call('PEXPIRE', KEYS[key], ARGV[4]) end
end
return claimed
