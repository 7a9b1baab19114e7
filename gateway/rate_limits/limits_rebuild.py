"""
The rate limits of every key made anew from PostgreSQL, after Redis was wiped: its open reservations are the open
calls, the calls of the last minute what was taken of requests and tokens.

Whatever Redis still knows and is stricter stays, so this may run at any time, also twice. Tokens that open calls
have reserved and not used are not known to PostgreSQL; that limit is lenient for at most a minute.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from billing.retention import smallest_id
from exerati.lib import ids
from exerati.lib.redis import sync_client
from gateway.rate_limits.limits import LEASE_MS, SCRIPT

MINUTE_MS = 60_000

# Every call of the last minute and every open one, in order; `tokens` is what it has used so far. Ids follow the
# time, so the primary key finds the newest events.
_CALLS = """
SELECT c.organization_id, c.key_id, c.request_id, c.is_open, c.occurred_at, c.tokens, k.requests_per_minute,
       k.tokens_per_minute
FROM (
    SELECT organization_id, key_id, request_id, true AS is_open, created_at AS occurred_at,
           progress_input_tokens + progress_output_tokens AS tokens
    FROM billing_reservation WHERE state = 'open'
    UNION ALL
    SELECT organization_id, key_id, request_id, false, occurred_at, input_tokens + output_tokens
    FROM billing_usageevent WHERE request_id >= %(oldest)s::uuid AND occurred_at > %(since)s
) c JOIN apikeys_apikey k ON k.id = c.key_id
ORDER BY c.key_id, c.occurred_at
"""


@dataclass(slots=True)
class _Key:
    """What one key has taken, replayed call by call as the script would have counted it."""

    requests_per_minute: int
    tokens_per_minute: int
    level: float
    arrival_ms: float = 0.0
    level_at_ms: float = 0.0
    open_calls: list[str] = field(default_factory=list)

    def take(self, tokens: int, at_ms: float) -> None:
        self.arrival_ms = max(self.arrival_ms, at_ms) + MINUTE_MS / self.requests_per_minute
        self.level = self.level_now(at_ms) - tokens
        self.level_at_ms = at_ms

    def level_now(self, now_ms: float) -> float:
        filled = (now_ms - self.level_at_ms) * self.tokens_per_minute / MINUTE_MS
        return min(self.tokens_per_minute, self.level + filled)


def rebuild(*, now: datetime) -> dict[str, int]:
    """Write the limits of every key that was used in the last minute; return how many keys and open calls there are."""
    keys = _read(now)
    now_ms = now.timestamp() * 1000
    client = sync_client()
    for (organization_id, key_id), key in keys.items():
        row = (
            "rebuild",
            key_id,
            max(0.0, key.arrival_ms - now_ms),
            key.level_now(now_ms),
            key.tokens_per_minute,
            LEASE_MS,
            key.open_calls,
        )
        client.eval(SCRIPT, 1, f"{{limits:{organization_id}}}", json.dumps([row]))
    return {"keys": len(keys), "open_calls": sum(len(key.open_calls) for key in keys.values())}


def _read(now: datetime) -> dict[tuple[int, int], _Key]:
    keys: dict[tuple[int, int], _Key] = {}
    since = now - timedelta(minutes=1)
    with connection.cursor() as cursor:
        cursor.execute(_CALLS, {"since": since, "oldest": smallest_id(since)})
        for organization_id, key_id, request_id, is_open, at, tokens, rpm, tpm in cursor:
            limit = tpm or settings.KEY_DEFAULT_TPM
            key = keys.setdefault(
                (organization_id, key_id),
                _Key(rpm or settings.KEY_DEFAULT_RPM, limit, level=limit),
            )
            if is_open:
                key.open_calls.append(ids.encode(request_id))
            if at > since:
                key.take(tokens, at.timestamp() * 1000)
    return keys
