-- KEYS: inbox, leases, order, attempts, speech   ARGV: how many at most, lease in µs, the inbox's TTL in ms
-- Gives id, Pulse, attempts beyond the first, and speech of each, oldest first.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local ids = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ARGV[1])
if #ids == 0 then return {} end
local since = {}
for i, score in ipairs(redis.call('ZMSCORE', KEYS[3], unpack(ids))) do since[ids[i]] = tonumber(score or 0) end
table.sort(ids, function(a, b) return since[a] < since[b] end)
local found = {}
for i, id in ipairs(ids) do
  local pulse = redis.call('HGET', KEYS[1], id)
  if pulse then
    redis.call('ZADD', KEYS[2], now + ARGV[2] + i, id)
    local attempts = redis.call('HINCRBY', KEYS[4], id, 1)
    local n = #found
    found[n + 1], found[n + 2], found[n + 3] = id, pulse, attempts
    found[n + 4] = redis.call('HGET', KEYS[5], id) or 0
  else
    redis.call('ZREM', KEYS[2], id)
    redis.call('ZREM', KEYS[3], id)
  end
end
redis.call('PEXPIRE', KEYS[4], ARGV[3])
return found
