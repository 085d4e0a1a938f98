-- KEYS: the Vigil
local phase = redis.call('HGET', KEYS[1], 'phase')
if phase == 'TakingOver' or phase == 'Active' then redis.call('HSET', KEYS[1], 'unanswered', 0) end
