-- Who has the key, and for how many milliseconds.
return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])}
