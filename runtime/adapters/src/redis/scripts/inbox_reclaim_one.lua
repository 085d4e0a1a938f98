-- KEYS: inbox, leases, order, attempts, speech   ARGV: id, lease in µs, the inbox's TTL in ms
-- Gives nothing when it is finished; false and how many µs its lease has left; or its Pulse, attempts beyond the first,
-- and speech.
local pulse = redis.call('HGET', KEYS[1], ARGV[1])
if not pulse then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('ZREM', KEYS[3], ARGV[1])
  return false
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local until_ = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or 0)
if until_ > now then return { false, until_ - now, 0 } end
redis.call('ZADD', KEYS[2], now + ARGV[2], ARGV[1])
local attempts = redis.call('HINCRBY', KEYS[4], ARGV[1], 1)
redis.call('PEXPIRE', KEYS[4], ARGV[3])
return { pulse, attempts, redis.call('HGET', KEYS[5], ARGV[1]) or 0 }
