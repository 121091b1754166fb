-- Places in windows of rate limits, which all users share: every one of them is taken, or none. The same decision twice takes one.
--
-- KEYS  one set of decisions per window
-- ARGV  1 decision   then two per window: limit, ttl (ms)
-- Returns 0 when the places are taken, else the number of the first window without room.

for i, key in ipairs(KEYS) do
  if redis.call('SISMEMBER', key, ARGV[1]) == 0 and redis.call('SCARD', key) >= tonumber(ARGV[2 * i]) then
    return i
  end
end
for i, key in ipairs(KEYS) do
  redis.call('SADD', key, ARGV[1])
  redis.call('PEXPIRE', key, ARGV[2 * i + 1])
end
return 0
