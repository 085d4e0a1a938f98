-- KEYS: the Rite, those that are due   ARGV: id, outcome or nothing, when it was settled in ms or nothing
local standing = redis.call('HGET', KEYS[1], 'standing')
if not standing then return false end
if ARGV[2] ~= '' and standing == 'Consumed' then redis.call('HSETNX', KEYS[1], 'outcome', ARGV[2]) end
if ARGV[3] ~= '' then
  redis.call('HSETNX', KEYS[1], 'settled_at', ARGV[3])
  redis.call('ZREM', KEYS[2], ARGV[1])
end
return false
