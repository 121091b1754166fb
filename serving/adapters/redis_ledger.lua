-- One decision made durable, all or nothing: check every window, reserve the contact, keep receipt and timeline, hand over to the outbox.
-- Time comes in as arguments; nothing here reads a clock.
--
-- KEYS  1 contacts (sorted set, score = microseconds)   2 receipt   3 timeline version   4 outbox (list)   5 mark of an erased user
-- ARGV  1 receipt, as it is stored   2 its ttl (ms)   3 timeline   4 contact ("" for none)   5 its moment   6 contacts before this are pruned
--       7 ttl of contacts and outbox (ms)   8 delivery order   9 as_of: reservations that expired by then take no place
--       then eight per window: name, channel, message, class ("" for any), since, until, limit, span (0 for a fixed interval)
-- Returns {1, "", ""} when committed now, {1, "", stored receipt} when committed before, {0, name of the window that is full, ""} when
-- refused, {2, "", ""} when erased.
--
-- A contact is channel, class, message, decision and, while its delivery is not confirmed, when its reservation expires.

local SEPARATOR = '\31'
local WINDOW = 8

local function split(contact)
  local found = {}
  for field in string.gmatch(contact .. SEPARATOR, '([^' .. SEPARATOR .. ']*)' .. SEPARATOR) do
    found[#found + 1] = field
  end
  return found
end

local function is_expired(fields, as_of)
  return fields[5] ~= nil and tonumber(fields[5]) <= as_of
end

-- Moments of the contacts that the window whose arguments begin after `first` counts, oldest first.
local function moments_in(first, as_of)
  local moments = {}
  local found = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[first + 4], '(' .. ARGV[first + 5], 'WITHSCORES')
  for i = 1, #found, 2 do
    local fields = split(found[i])
    local matches = (ARGV[first + 1] == '' or ARGV[first + 1] == fields[1])
      and (ARGV[first + 3] == '' or ARGV[first + 3] == fields[2])
      and (ARGV[first + 2] == '' or ARGV[first + 2] == fields[3])
    if matches and not is_expired(fields, as_of) then
      moments[#moments + 1] = tonumber(found[i + 1])
    end
  end
  return moments
end

-- Most moments in any interval (x - span, x] with x from the proposed moment on.
local function most_together(moments, span, proposed)
  local most = 0
  local function count(ends)
    local together = 0
    for _, at in ipairs(moments) do
      if ends - span < at and at <= ends then
        together = together + 1
      end
    end
    most = math.max(most, together)
  end
  count(proposed)
  for _, at in ipairs(moments) do
    if at > proposed then
      count(at)
    end
  end
  return most
end

if redis.call('EXISTS', KEYS[5]) == 1 then
  return {2, '', ''}
end

local stored = redis.call('GET', KEYS[2])
if stored then
  return {1, '', stored}
end

for first = 10, #ARGV, WINDOW do
  local moments, span = moments_in(first, tonumber(ARGV[9])), tonumber(ARGV[first + 7])
  local count = #moments
  if span > 0 then
    count = most_together(moments, span, tonumber(ARGV[first + 5]) - span)
  end
  if count >= tonumber(ARGV[first + 6]) then
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
  redis.call('PEXPIRE', KEYS[4], ARGV[7])
end
return {1, '', ''}
