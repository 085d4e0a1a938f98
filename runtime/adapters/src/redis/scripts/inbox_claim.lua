-- KEYS: inbox, leases, attempts, speech   ARGV: lease in µs, then ids
-- Gives id, Pulse, attempts beyond the first, and speech of each that is not finished.
local time = redis.call('TIME')
local until_ = time[1] * 1000000 + time[2] + ARGV[1]
local found = {}
for i = 2, #ARGV do
  local id = ARGV[i]
  local pulse = redis.call('HGET', KEYS[1], id)
  if pulse then
    redis.call('ZADD', KEYS[2], until_ + i, id)
    local n = #found
    found[n + 1], found[n + 2] = id, pulse
    found[n + 3] = redis.call('HGET', KEYS[3], id) or 0
    found[n + 4] = redis.call('HGET', KEYS[4], id) or 0
  end
end
return found
