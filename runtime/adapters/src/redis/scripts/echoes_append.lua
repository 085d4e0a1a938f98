-- KEYS: echoes, ids, fence
-- ARGV: fence or nothing, the fence's TTL in ms, how many Echoes to keep, how many ids, their TTL in ms, then the id and
-- the Echo of each. Gives the newest fence when it refuses.
if ARGV[1] ~= '' then
  local newest = redis.call('GET', KEYS[3])
  if newest and tonumber(newest) > tonumber(ARGV[1]) then return newest end
  redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])
end
local any = false
for i = 6, #ARGV, 2 do
  if not redis.call('LPOS', KEYS[2], ARGV[i]) then
    redis.call('RPUSH', KEYS[2], ARGV[i])
    redis.call('RPUSH', KEYS[1], ARGV[i + 1])
    any = true
  end
end
if any then
  redis.call('LTRIM', KEYS[1], -ARGV[3], -1)
  redis.call('LTRIM', KEYS[2], -ARGV[4], -1)
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
end
return false
