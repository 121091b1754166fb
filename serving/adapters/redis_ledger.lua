-- One decision made durable, all or nothing: check every window, reserve the contact, keep receipt and timeline, hand over to the outbox.
-- Time comes in as arguments; nothing here reads a clock.
--
-- KEYS  1 contacts (sorted set, score = microseconds)   2 receipt   3 timeline version   4 outbox (list)   5 mark of an erased user
-- ARGV  1 receipt   2 its ttl (ms)   3 timeline   4 contact ("" for none)   5 its moment   6 contacts before this are pruned
--       7 ttl of the contacts (ms)   8 delivery order
--       then six per window: name, channel, message ("" for any), since, until, limit
-- Returns {1, "", receipt} when committed now or before, {0, name of the window that is full, ""} when refused, {2, "", ""} when erased.

local SEPARATOR = '\31'

local function matches(contact, channel, message)
  local found = {}
  for field in string.gmatch(contact .. SEPARATOR, '([^' .. SEPARATOR .. ']*)' .. SEPARATOR) do
    found[#found + 1] = field
  end
  return (channel == '' or channel == found[1]) and (message == '' or message == found[3])
end

if redis.call('EXISTS', KEYS[5]) == 1 then
  return {2, '', ''}
end

local stored = redis.call('GET', KEYS[2])
if stored then
  return {1, '', stored}
end

for first = 9, #ARGV, 6 do
  local count = 0
  for _, contact in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[first + 3], '(' .. ARGV[first + 4])) do
    if matches(contact, ARGV[first + 1], ARGV[first + 2]) then
      count = count + 1
    end
  end
  if count >= tonumber(ARGV[first + 5]) then
    return {0, ARGV[first], ''}
  end
end

redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
if not redis.call('SET', KEYS[3], ARGV[3], 'NX', 'PX', ARGV[2]) then
  redis.call('PEXPIRE', KEYS[3], ARGV[2])
end
if ARGV[4] ~= '' then
  redis.call('ZADD', KEYS[1], ARGV[5], ARGV[4])
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[6])
  redis.call('PEXPIRE', KEYS[1], ARGV[7])
  redis.call('RPUSH', KEYS[4], ARGV[8])
end
return {1, '', ARGV[1]}
