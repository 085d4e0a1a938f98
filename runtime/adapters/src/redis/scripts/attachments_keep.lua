-- KEYS: the files, their order   ARGV: the id, the file, the most bytes, a TTL in ms
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then redis.call('RPUSH', KEYS[2], ARGV[1]) end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
local ids, bytes = redis.call('LRANGE', KEYS[2], 0, -1), 0
for _, id in ipairs(ids) do bytes = bytes + redis.call('HSTRLEN', KEYS[1], id) end
for _, id in ipairs(ids) do
  if bytes <= tonumber(ARGV[3]) then break end
  bytes = bytes - redis.call('HSTRLEN', KEYS[1], id)
  redis.call('HDEL', KEYS[1], id)
  redis.call('LPOP', KEYS[2])
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
