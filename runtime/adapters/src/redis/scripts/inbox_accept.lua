-- KEYS: inbox, leases, order, then one to remember each id by
-- ARGV: lease in µs, how long to remember an id in ms, the inbox's TTL in ms, then the id and the Pulse of each
-- Gives 1 for each that is new and 0 for each that is not. Those of one call keep their order by a µs each.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local news, any = {}, false
for i = 4, #KEYS do
  local place = i - 4
  local id, pulse = ARGV[4 + place * 2], ARGV[5 + place * 2]
  if redis.call('SET', KEYS[i], '', 'NX', 'PX', ARGV[2]) and redis.call('HSETNX', KEYS[1], id, pulse) == 1 then
    redis.call('ZADD', KEYS[2], now + ARGV[1] + place, id)
    redis.call('ZADD', KEYS[3], now + place, id)
    news[place + 1], any = 1, true
  else
    news[place + 1] = 0
  end
end
if any then
  for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], ARGV[3]) end
end
return news
