-- All ids of one person, the one all others are attached to first; marked as erased where asked.
-- KEYS  1 links   2 erased
-- ARGV  1 an id   2 prefix of the sets of attached ids (same slot as the keys)   3 "1": mark as erased   4 salt of the marks

local at = ARGV[1]
while true do
  local link = redis.call('HGET', KEYS[1], at)
  if not link then
    break
  end
  at = string.match(link, '^%-?%d+ (.*)$')
end

local ids = {at}
local place = 1
while place <= #ids do
  local attached = redis.call('SMEMBERS', ARGV[2] .. ids[place])
  table.sort(attached)
  for _, previous in ipairs(attached) do
    ids[#ids + 1] = previous
  end
  place = place + 1
end

if ARGV[3] == '1' then
  for _, id in ipairs(ids) do
    redis.call('SADD', KEYS[2], redis.sha1hex(ARGV[4] .. id))
  end
end
return ids
