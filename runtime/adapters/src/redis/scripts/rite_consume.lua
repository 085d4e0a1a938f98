-- KEYS: the Rite, those that are due   ARGV: id, generation or nothing to make it void, now in ms
-- Gives whether it was granted, then the Rite; nothing when there is none.
local rite = redis.call('HMGET', KEYS[1], 'standing', 'expires_at', 'generation')
local standing = rite[1]
if not standing then return {} end
local granted = 0
if standing == 'Pending' and tonumber(ARGV[3]) >= tonumber(rite[2]) then
  redis.call('HSET', KEYS[1], 'standing', 'Expired')
elseif ARGV[2] == '' then
  if standing == 'Pending' or standing == 'Approved' then
    redis.call('HSET', KEYS[1], 'standing', 'Void')
    if redis.call('HEXISTS', KEYS[1], 'settled_at') == 0 then redis.call('ZADD', KEYS[2], 'LT', ARGV[3], ARGV[1]) end
  end
elseif standing == 'Approved' then
  -- As text: a number would be rounded.
  if rite[3] == ARGV[2] then
    redis.call('HSET', KEYS[1], 'standing', 'Consumed')
    granted = 1
  else
    redis.call('HSET', KEYS[1], 'standing', 'Void')
  end
end
local known = redis.call('HGETALL', KEYS[1])
table.insert(known, 1, tostring(granted))
return known
