-- KEYS: a person's ids: the one they came by, then the others, those that tell most first; then whether the one they came
-- by was ever seen with others
-- ARGV: how many ids, what the first two are known as if nobody knows them, a TTL in ms
local ids = tonumber(ARGV[1])
local seen = KEYS[ids + 1]
local known = false
for i = 2, ids do known = known or redis.call('GET', KEYS[i]) end
if not known then
  known = redis.call('GET', KEYS[1])
  -- It was seen with others than these: somebody else has it now.
  if known and ids > 1 and redis.call('EXISTS', seen) == 1 then known = ARGV[3] end
end
known = known or ARGV[2]
for i = 1, ids do redis.call('SET', KEYS[i], known, 'PX', ARGV[4]) end
if ids > 1 then redis.call('SET', seen, '', 'PX', ARGV[4]) end
return known
