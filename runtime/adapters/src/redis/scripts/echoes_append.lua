-- KEYS: echoes, ids, fence, then of all conversations their places, last messages, people, lengths
-- ARGV: fence or nothing, the fence's TTL in ms, how many Echoes to keep, how many ids, their TTL in ms, the session, its
-- last message or nothing, the person's name or nothing, how many conversations to keep, then the id and the Echo of each.
-- Gives the newest fence when it refuses.
if ARGV[1] ~= '' then
  local newest = redis.call('GET', KEYS[3])
  if newest and tonumber(newest) > tonumber(ARGV[1]) then return newest end
  redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])
end
local new = 0
for i = 10, #ARGV, 2 do
  if not redis.call('LPOS', KEYS[2], ARGV[i]) then
    redis.call('RPUSH', KEYS[2], ARGV[i])
    redis.call('RPUSH', KEYS[1], ARGV[i + 1])
    new = new + 1
  end
end
if new == 0 then return false end
local length = redis.call('LLEN', KEYS[1])
redis.call('LTRIM', KEYS[1], -ARGV[3], -1)
redis.call('LTRIM', KEYS[2], -ARGV[4], -1)
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[5])

local session = ARGV[6]
local time = redis.call('TIME')
local place = time[1] * 1000000 + time[2]
local forgotten = place - ARGV[5] * 1000
local top = redis.call('ZREVRANGE', KEYS[4], 0, 0, 'WITHSCORES')
if top[2] and tonumber(top[2]) >= place then place = tonumber(top[2]) + 1 end
redis.call('ZADD', KEYS[4], string.format('%.0f', place), session)
local fresh = false
if ARGV[7] ~= '' then fresh = redis.call('HSET', KEYS[5], session, ARGV[7]) == 1 end
if ARGV[8] ~= '' then fresh = redis.call('HSET', KEYS[6], session, ARGV[8]) == 1 or fresh end
if redis.call('HINCRBY', KEYS[7], session, new) < length then redis.call('HSET', KEYS[7], session, length) end
local many = redis.call('ZCARD', KEYS[4]) - ARGV[9]
local old = {}
if many > 0 then old = redis.call('ZRANGE', KEYS[4], 0, many - 1) end
-- The list outlives the Echoes that were appended last: a hundredth longer, so that it is seldom renewed. A key that has
-- just been made has no TTL.
if fresh or redis.call('PTTL', KEYS[4]) < tonumber(ARGV[5]) then
  for key = 4, 7 do redis.call('PEXPIRE', KEYS[key], math.ceil(ARGV[5] * 1.01)) end
end
-- Once in a while is enough for what only time makes stale.
if many <= 0 and time[2] % 16 == 0 then
  old = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', string.format('%.0f', forgotten), 'LIMIT', 0, 64)
end
if #old > 0 then
  redis.call('ZREM', KEYS[4], unpack(old))
  for key = 5, 7 do redis.call('HDEL', KEYS[key], unpack(old)) end
end
return false
