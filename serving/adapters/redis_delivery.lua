-- News of a delivery: a contact is confirmed and counts for good, or released and counts no more.
-- What was released or had expired and reached its person after all is confirmed again: later caps must see it.
--
-- KEYS  1 contacts (sorted set, score = microseconds)   2 released contacts (likewise)   3 mark of an erased user
-- ARGV  1 decision   2 "confirm" or "release"   3 the moment of delivery   4 ttl of both (ms)
-- Returns "confirmed", "released", "known" or "unknown".

local SEPARATOR = '\31'

local function find(key)
  for _, contact in ipairs(redis.call('ZRANGE', key, 0, -1)) do
    local identity, decision = string.match(contact, '^([^' .. SEPARATOR .. ']*' .. SEPARATOR .. '[^' .. SEPARATOR .. ']*' .. SEPARATOR
      .. '[^' .. SEPARATOR .. ']*' .. SEPARATOR .. '([^' .. SEPARATOR .. ']*))')
    if decision == ARGV[1] then
      return contact, identity
    end
  end
end

local function keep(key, moment, contact)
  redis.call('ZADD', key, moment, contact)
  redis.call('PEXPIRE', key, ARGV[4])
end

if redis.call('EXISTS', KEYS[3]) == 1 then
  return 'unknown'
end

local from, contact, identity = KEYS[1], find(KEYS[1])
if not contact then
  from = KEYS[2]
  contact, identity = find(from)
end
if not contact then
  return 'unknown'
end
if ARGV[2] == 'confirm' then
  if from == KEYS[1] and contact == identity then
    return 'known'
  end
  redis.call('ZREM', from, contact)
  keep(KEYS[1], ARGV[3], identity)
  return 'confirmed'
end
if from == KEYS[2] or contact == identity then
  return 'known'
end
local moment = redis.call('ZSCORE', from, contact)
redis.call('ZREM', from, contact)
keep(KEYS[2], moment, contact)
return 'released'
