-- Who has the key, and for how many milliseconds.
-- Where it is the owner ARGV[1] it is written as it is, so that a node that has
-- become a replica cannot vouch for it. Somebody who only looks gives none.
local owner = redis.call('GET', KEYS[1])
if owner and owner == ARGV[1] then
  redis.call('SET', KEYS[1], owner, 'KEEPTTL')
end
return {owner, redis.call('PTTL', KEYS[1])}
