-- KEYS: the Rite, those that are due   ARGV: id, standing, by, comment, at in ms
-- Gives whether it counted, then the Rite; nothing when there is none.
local rite = redis.call('HMGET', KEYS[1], 'standing', 'expires_at')
if not rite[1] then return {} end
local counted = 0
if rite[1] == 'Pending' then
  if tonumber(ARGV[5]) >= tonumber(rite[2]) then
    redis.call('HSET', KEYS[1], 'standing', 'Expired')
  else
    redis.call('HSET', KEYS[1], 'standing', ARGV[2], 'by', ARGV[3], 'comment', ARGV[4], 'decided_at', ARGV[5],
      'approved', ARGV[2] == 'Approved' and '1' or '0')
    redis.call('ZADD', KEYS[2], ARGV[5], ARGV[1])
    counted = 1
  end
end
local known = redis.call('HGETALL', KEYS[1])
table.insert(known, 1, tostring(counted))
return known
