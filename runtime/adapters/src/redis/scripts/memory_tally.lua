-- KEYS: the count   ARGV: how much to add, the window in ms
if ARGV[1] == '0' then return redis.call('GET', KEYS[1]) or 0 end
local sum = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return sum
