-- Rate limits of one organization's keys, for a batch of calls. KEYS[1] is the organization's hash tag; every key
-- made here carries it, so that all live on one node of a cluster.
--
-- ARGV[1] is a JSON list, in order of arrival, of
--   ["take", key, request, requests a minute, tokens, tokens a minute, open calls at most, lease in ms]
--   ["free", key, request, tokens to give back (negative: used beyond what was taken), tokens a minute]
--   ["keep", key, request, lease in ms]
--   ["rebuild", key, ms until requests are full again, tokens left, tokens a minute, lease in ms, requests]
-- The answer is a JSON list: for "take" [refused, remaining requests, ms until requests are full again, remaining
-- tokens, ms until tokens are full again, ms until a retry makes sense], refused being "" or requests, tokens or
-- concurrency; for the others 0.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local MINUTE = 60000
local tag = KEYS[1]

local function open_calls(key)
    return tag .. ':open:' .. key
end

-- Requests: GCRA with a burst of one minute's worth. The state is the theoretical arrival time in ms.
local function requests_state(key, limit)
    local arrival = tonumber(redis.call('GET', tag .. ':requests:' .. key) or now)
    if arrival < now then arrival = now end
    return arrival, MINUTE / limit
end

-- Tokens: a bucket that fills at the limit per minute. The state is [level, ms of the last change]; a level below
-- zero is a debt, which has to be filled up first.
local function tokens_state(key, limit)
    local state = redis.call('HMGET', tag .. ':tokens:' .. key, 'level', 'at')
    if not state[1] then return limit end
    return math.min(limit, tonumber(state[1]) + (now - tonumber(state[2])) * limit / MINUTE)
end

local function store_tokens(key, level, limit)
    redis.call('HSET', tag .. ':tokens:' .. key, 'level', string.format('%.3f', level), 'at', now)
    redis.call('PEXPIRE', tag .. ':tokens:' .. key, MINUTE + math.ceil((limit - level) * MINUTE / limit))
end

local function take(call)
    local key, request, per_minute, tokens = call[2], call[3], call[4], call[5]
    local tokens_per_minute, at_most, lease = call[6], call[7], call[8]
    local arrival, spacing = requests_state(key, per_minute)
    local level = tokens_state(key, tokens_per_minute)
    local refused, retry = '', 0
    redis.call('ZREMRANGEBYSCORE', open_calls(key), '-inf', now)
    if arrival + spacing - now > MINUTE + 0.5 then
        refused, retry = 'requests', arrival + spacing - now - MINUTE
    elseif tokens > level then
        refused, retry = 'tokens', (math.min(tokens, tokens_per_minute) - level) * MINUTE / tokens_per_minute
    elseif redis.call('ZCARD', open_calls(key)) >= at_most then
        refused, retry = 'concurrency', 1000
    else
        arrival = arrival + spacing
        level = level - tokens
        redis.call('SET', tag .. ':requests:' .. key, string.format('%.3f', arrival), 'PX', 2 * MINUTE)
        store_tokens(key, level, tokens_per_minute)
        redis.call('ZADD', open_calls(key), now + lease, request)
        redis.call('PEXPIRE', open_calls(key), lease + MINUTE)
    end
    return {
        refused,
        math.max(0, math.floor((MINUTE - (arrival - now)) / spacing + 0.001)),
        math.ceil(arrival - now),
        math.max(0, math.floor(level)),
        math.ceil((tokens_per_minute - level) * MINUTE / tokens_per_minute),
        math.ceil(retry),
    }
end

local function free(call)
    redis.call('ZREM', open_calls(call[2]), call[3])
    if call[4] ~= 0 then
        store_tokens(call[2], math.min(call[5], tokens_state(call[2], call[5]) + call[4]), call[5])
    end
    return 0
end

local function keep(call)
    if redis.call('ZSCORE', open_calls(call[2]), call[3]) then
        redis.call('ZADD', open_calls(call[2]), now + call[4], call[3])
    end
    return 0
end

-- After a wipe: what PostgreSQL knows of a key. Whatever is stricter holds, so it may run at any time.
local function rebuild(call)
    local key, ahead, level, limit, lease = call[2], call[3], call[4], call[5], call[6]
    local arrival = math.max(requests_state(key, 1), now + ahead)
    redis.call('SET', tag .. ':requests:' .. key, string.format('%.3f', arrival), 'PX', 2 * MINUTE)
    store_tokens(key, math.min(level, tokens_state(key, limit)), limit)
    for _, request in ipairs(call[7]) do
        redis.call('ZADD', open_calls(key), 'NX', now + lease, request)
    end
    redis.call('PEXPIRE', open_calls(key), lease + MINUTE)
    return 0
end

local actions = { take = take, free = free, keep = keep, rebuild = rebuild }
local answers = {}
for index, call in ipairs(cjson.decode(ARGV[1])) do
    answers[index] = actions[call[1]](call)
end
return cjson.encode(answers)
