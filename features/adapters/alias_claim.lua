-- Attach one id to one user, for good: the first alias of an id wins.
-- KEYS  1 links (hash: previous id -> "<received_us> <user id>")   2 ids attached to the user (set)   3 erased (set of hashes)
-- ARGV  1 previous id   2 user id   3 received_us   4 hash of the previous id   5 hash of the user id
-- Returns "" when accepted, now or before, else the refusal.

if redis.call('SISMEMBER', KEYS[3], ARGV[4]) == 1 or redis.call('SISMEMBER', KEYS[3], ARGV[5]) == 1 then
  return 'user_erased'
end

local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored then
  local received, target = string.match(stored, '^(%-?%d+) (.*)$')
  if target ~= ARGV[2] then
    return 'alias_conflict'
  end
  if tonumber(received) <= tonumber(ARGV[3]) then
    return ''
  end
else
  local at = ARGV[2]
  while at do
    if at == ARGV[1] then
      return 'alias_cycle'
    end
    local link = redis.call('HGET', KEYS[1], at)
    at = link and string.match(link, '^%-?%d+ (.*)$')
  end
end

redis.call('HSET', KEYS[1], ARGV[1], ARGV[3] .. ' ' .. ARGV[2])
redis.call('SADD', KEYS[2], ARGV[1])
return ''
