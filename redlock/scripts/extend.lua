-- Let the key live at least ARGV[2] milliseconds from now, if it is ours:
-- 1 extended, 0 there is no key, -1 another owner has it.
-- It never shortens: a delayed extension must not take back a later one. It always
-- writes, so that a node that has become a replica cannot say yes.
local owner = redis.call('GET', KEYS[1])
if owner == ARGV[1] then
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
  else
    redis.call('SET', KEYS[1], owner, 'KEEPTTL')
  end
  return 1
end
return owner and -1 or 0
