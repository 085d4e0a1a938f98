-- KEYS: the facts, how far was heard, what is due, claims, attempts
-- ARGV: the session, the token of the claim or nothing where people change it, up to which Echo was heard, how long that is
-- remembered in ms, the most facts or a negative number to forget all, how old a fact may be in ms, 1 where there is more to
-- read, how long what is due is remembered in ms, how many texts to forget, those, then the ms and the text of each fact.
-- Gives how many were forgotten; nothing when the claim was lost.
local session, token = ARGV[1], ARGV[2]
if token ~= '' and redis.call('HGET', KEYS[4], session) ~= token then return false end
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HDEL', KEYS[4], session)
redis.call('HDEL', KEYS[5], session)
if ARGV[7] == '1' then
  redis.call('ZADD', KEYS[3], now, session)
  redis.call('PEXPIRE', KEYS[3], ARGV[8])
else
  redis.call('ZREM', KEYS[3], session)
end

local most = tonumber(ARGV[5])
if most < 0 then
  local all = redis.call('ZCARD', KEYS[1])
  redis.call('DEL', KEYS[1])
  return all
end
local texts = tonumber(ARGV[9])
local forgotten = 0
for i = 10, 9 + texts do
  forgotten = forgotten + redis.call('ZREM', KEYS[1], ARGV[i])
end
for i = 10 + texts, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now - ARGV[6]))
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -most - 1)
-- With the last fact; who said nothing of themselves changes nothing.
local latest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if latest[2] then
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', latest[2] + ARGV[6]))
end
return forgotten
