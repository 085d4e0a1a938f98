-- KEYS: when the person may be written to again, had there been no burst
-- ARGV: what the messages take, what a burst takes, the longest wait; all in ms
-- Gives how long to wait, in ms.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local next = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now) + tonumber(ARGV[1])
local wait = math.max(next - now - tonumber(ARGV[2]), 0)
if wait <= tonumber(ARGV[3]) then
  redis.call('SET', KEYS[1], string.format('%d', next), 'PX', next - now)
end
return wait
