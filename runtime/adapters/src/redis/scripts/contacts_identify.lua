-- KEYS: a person's ids, those that count most first   ARGV: what they are known as if nobody knows them, a TTL in ms
local known = false
for _, key in ipairs(KEYS) do
  known = redis.call('GET', key)
  if known then break end
end
known = known or ARGV[1]
for _, key in ipairs(KEYS) do redis.call('SET', key, known, 'PX', ARGV[2]) end
return known
