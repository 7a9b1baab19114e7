"""
Calls under an `Idempotency-Key`: one call for each key, body and name, whatever a client sends how often.

A row in PostgreSQL is claimed before the call is admitted, and filled with the answer after it was settled. A second
request waits for the first and gets its answer; with another body it is refused. A claim is free again when its call
ended without costing anything (so that a retry after an error is a real one) and after 24 hours. It is never free
while the call may still be charged, so no fault can bill a name twice. Redis has no part in it: it may be wiped.
"""

import asyncio
import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from exerati.lib.database import Connection
from gateway.models import IdempotentCall

HEADER: Final = b"idempotency-key"
MAX_STORED_BYTES: Final = 4 * 1024 * 1024
WAIT_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.25
_NAME: Final = re.compile(r"[\x21-\x7e]{1,255}")

Problem = Literal["reused", "in_flight", "lost", "invalid"]

# 24 hours: what is published. 30 seconds: between the settlement of a call and the storing of its answer. 120 seconds:
# a claim without a reservation is of a request that was not admitted yet, or whose process is gone.
_CLAIM = """
WITH given AS (
    SELECT %s::bigint AS key_id, %s::bytea AS name, %s::bytea AS body, %s::uuid AS request_id
), claim AS (
    INSERT INTO gateway_idempotentcall AS c
        (key_id, name_hash, body_hash, request_id, headers, created_at, expires_at)
    SELECT key_id, name, body, request_id, '[]', now(), now() + interval '24 hours' FROM given
    ON CONFLICT (key_id, name_hash) DO UPDATE SET
        body_hash = EXCLUDED.body_hash, request_id = EXCLUDED.request_id, status = NULL, headers = '[]', body = NULL,
        created_at = EXCLUDED.created_at, expires_at = EXCLUDED.expires_at
    WHERE c.expires_at < now() OR (c.status IS NULL AND CASE
        WHEN EXISTS (SELECT FROM billing_reservation r WHERE r.request_id = c.request_id)
        THEN EXISTS (
            SELECT FROM billing_reservation r
            WHERE r.request_id = c.request_id AND r.settled_at IS NOT NULL AND coalesce(r.charge_nanousd, 0) = 0
              AND r.settled_at < now() - interval '30 seconds')
        ELSE c.created_at < now() - interval '120 seconds' END)
    RETURNING c.id
)
SELECT jsonb_build_object('claimed', true)::text FROM claim
UNION ALL
SELECT jsonb_build_object(
    'claimed', false, 'same_body', c.body_hash = given.body, 'status', c.status, 'headers', c.headers,
    'body', encode(c.body, 'base64'), 'request_id', c.request_id,
    'lost', r.settled_at < now() - interval '30 seconds')::text
FROM given JOIN gateway_idempotentcall c ON c.key_id = given.key_id AND c.name_hash = given.name
LEFT JOIN billing_reservation r ON r.request_id = c.request_id
WHERE NOT EXISTS (SELECT FROM claim)
"""
_STORE = """
UPDATE gateway_idempotentcall SET status = %s, headers = %s::text::jsonb, body = %s
WHERE request_id = %s RETURNING 1
"""
# Only what cost nothing: a call that is still open, or was charged, keeps its claim.
_RELEASE = """
DELETE FROM gateway_idempotentcall c WHERE request_id = %s AND NOT EXISTS (
    SELECT FROM billing_reservation r WHERE r.request_id = c.request_id
    AND (r.settled_at IS NULL OR coalesce(r.charge_nanousd, 0) > 0)
) RETURNING 1
"""


class IdempotencyProblem(Exception):
    """A request under a name that cannot be served; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Stored:
    """The answer that the first call under a name got."""

    request_id: UUID
    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """One name of one key, for one body. Hashes, so that neither prompts nor names of customers are stored."""

    key_id: int
    name: bytes
    body: bytes
    request_id: UUID


def claim_of(*, key_id: int, name: str, path: str, body: bytes, request_id: UUID) -> Claim:
    """Return the claim of a request; raises IdempotencyProblem for a name that is none."""
    if not _NAME.fullmatch(name):
        raise IdempotencyProblem("invalid")
    return Claim(
        key_id=key_id,
        name=hashlib.sha256(name.encode()).digest(),
        body=hashlib.sha256(path.encode() + b"\0" + body).digest(),
        request_id=request_id,
    )


class IdempotentCalls:
    """The door to the claims of one gateway process."""

    def __init__(self) -> None:
        self._connection = Connection("idempotency")

    async def begin(self, claim: Claim) -> Stored | None:
        """
        Return None when the call is to be made now, or the answer that it got before, waited for if need be.

        Raises IdempotencyProblem, or psycopg.OperationalError when the database is away: then nothing is done.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + WAIT_SECONDS
        while True:
            found = await self._claim(claim)
            if found is not None:
                if found["claimed"]:
                    return None
                if not found["same_body"]:
                    raise IdempotencyProblem("reused")
                if found["status"] is not None:
                    return _stored(found)
                if found["lost"]:
                    raise IdempotencyProblem("lost")
            if loop.time() >= until:
                raise IdempotencyProblem("in_flight")
            await asyncio.sleep(POLL_SECONDS)

    async def store(self, claim: Claim, stored: Stored) -> None:
        """Keep the answer for those who ask again."""
        await self._connection.fetch_value(
            _STORE,
            stored.status,
            msgspec.json.encode(stored.headers).decode(),
            stored.body,
            claim.request_id,
        )

    async def release(self, claim: Claim) -> None:
        """Give the name back if the call cost nothing."""
        await self._connection.fetch_value(_RELEASE, claim.request_id)

    async def close(self) -> None:
        """Disconnect."""
        await self._connection.close()

    async def _claim(self, claim: Claim) -> dict[str, Any] | None:
        """Return what the statement says; None while another request's claim is about to be committed."""
        text = await self._connection.fetch_value(
            _CLAIM, claim.key_id, claim.name, claim.body, claim.request_id
        )
        found: dict[str, Any] | None = None if text is None else msgspec.json.decode(text)
        return found


def prune(now: datetime) -> int:
    """Delete what has expired; return how many."""
    count, _ = IdempotentCall.objects.filter(expires_at__lt=now).delete()
    return count


def _stored(found: dict[str, Any]) -> Stored:
    return Stored(
        request_id=UUID(found["request_id"]),
        status=found["status"],
        headers=[(name, value) for name, value in found["headers"]],
        body=base64.b64decode(found["body"] or ""),
    )
