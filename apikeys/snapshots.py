"""
What a gateway process keeps in memory of the keys it has seen, so that a call costs no query of its own.

A snapshot is found by the HMAC of the full secret. It is refreshed on a broadcast, and all of them every
`refresh_seconds` in one statement, so a change holds everywhere within that time even if broadcasts are lost.
"""

import fnmatch
import ipaddress
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from django.db import connection

from accounts.permissions import ALLOWED, Action, allows
from exerati.lib.batch import Batcher
from exerati.lib.database import Connection

MAX_UNKNOWN = 10_000
FORGET_SECONDS = 600  # a key not used for so long is read again when it comes
UNKNOWN_SECONDS = 1.0

# A secret that was rotated away is the same key with an end of its own.
QUERY = """
WITH asked AS (
    SELECT id, key_hash AS hash, NULL::timestamptz AS retires_at FROM apikeys_apikey WHERE key_hash = ANY (%s)
    UNION ALL
    SELECT id, old_hash, old_expires_at FROM apikeys_apikey WHERE old_hash = ANY (%s)
)
SELECT coalesce(jsonb_agg(jsonb_build_object(
    'digest', encode(asked.hash, 'hex'), 'retires_at', asked.retires_at,
    'id', k.id, 'public_id', k.public_id, 'name', k.name,
    'organization_id', k.organization_id, 'project_id', k.project_id, 'mode', k.mode,
    'model_patterns', k.model_patterns, 'modalities', k.modalities, 'endpoints', k.endpoints,
    'ip_allow_list', k.ip_allow_list, 'requests_per_minute', k.requests_per_minute,
    'tokens_per_minute', k.tokens_per_minute, 'concurrency', k.concurrency,
    'max_request_nanousd', k.max_request_nanousd, 'max_output_tokens', k.max_output_tokens,
    'strict_parameters', k.strict_parameters, 'drain_on_disconnect', k.drain_on_disconnect,
    'expires_at', k.expires_at, 'disabled_at', k.disabled_at,
    'disabled_reason', k.disabled_reason, 'kind', k.kind,
    'revoked_at', CASE
        WHEN k.kind = 'seat' AND NOT EXISTS (
            SELECT FROM accounts_membership m
            WHERE m.user_id = k.created_by_id AND m.organization_id = k.organization_id AND m.role = ANY (%s))
        THEN coalesce(k.revoked_at, now()) ELSE k.revoked_at END,
    'suspended_at', o.suspended_at, 'body_days', o.body_days
)), '[]')::text
FROM asked JOIN apikeys_apikey k ON k.id = asked.id JOIN accounts_organization o ON o.id = k.organization_id
"""
# A member who leaves, or may call no more, has no seat from the next refresh on; calls in progress are cut.
CALLING_ROLES = [role for role in ALLOWED if allows(role, Action.CALL_MODELS)]


class KeySnapshot(msgspec.Struct, frozen=True):
    """One key with its rules as plain values; limits are None where the default holds."""

    digest: str
    id: int
    public_id: str
    name: str
    organization_id: int
    project_id: int
    mode: str
    kind: str = "key"
    retires_at: datetime | None = None
    model_patterns: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    ip_allow_list: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    max_request_nanousd: int | None = None
    max_output_tokens: int | None = None
    strict_parameters: bool = False
    drain_on_disconnect: bool = False
    expires_at: datetime | None = None
    disabled_at: datetime | None = None
    disabled_reason: str = ""  # a DisabledReason, where it was not somebody's wish
    revoked_at: datetime | None = None
    suspended_at: datetime | None = None
    body_days: int = 0

    def inactive_reason(self, now: float) -> str:
        """Return why this secret of the key may not be used at this Unix time: "" when it may."""
        if self.retires_at is not None and self.retires_at.timestamp() <= now:
            return self.ended_reason(now) or "expired"
        return self.ended_reason(now)

    def ended_reason(self, now: float) -> str:
        """Return why the key may not be used, whichever its secret: "" when it may."""
        if self.revoked_at is not None:
            return "revoked"
        if self.disabled_at is not None:
            return self.disabled_reason or "disabled"
        if self.expires_at is not None and self.expires_at.timestamp() <= now:
            return "expired"
        return "suspended" if self.suspended_at is not None else ""

    def allows_model(self, model: str) -> bool:
        """Whether the key's model patterns (shell style, none means all) take in the model."""
        return not self.model_patterns or any(
            fnmatch.fnmatchcase(model, p) for p in self.model_patterns
        )

    def allows_kind(self, kind: str) -> bool:
        """Whether the key may use models of the kind (such as `chat`); none listed means all."""
        return not self.modalities or kind in self.modalities

    def allows_endpoint(self, endpoint: str) -> bool:
        """Whether the key may call the endpoint (such as `chat.completions`); none listed means all."""
        return not self.endpoints or endpoint in self.endpoints

    def allows_address(self, address: str) -> bool:
        """Whether the client's address is inside the key's allow-list (addresses or networks)."""
        if not self.ip_allow_list:
            return True
        try:
            client = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(
            client in ipaddress.ip_network(network, strict=False) for network in self.ip_allow_list
        )


_decode = msgspec.json.Decoder(list[KeySnapshot]).decode


def _parameters(digests: list[bytes]) -> tuple[list[Any], ...]:
    """Return what QUERY asks for, in its order."""
    return digests, digests, CALLING_ROLES


def read(digest: bytes) -> KeySnapshot | None:
    """Return the key of a digest as it is now, for endpoints off the hot path; runs one query."""
    with connection.cursor() as cursor:
        cursor.execute(QUERY, _parameters([digest]))
        row = cursor.fetchone()
    return next(iter(_decode(row[0])), None)


class KeyDirectory:
    """The snapshots of one gateway process; `on_inactive` is told the id of a key that may be used no more."""

    def __init__(self, on_inactive: Callable[[int], None]) -> None:
        self._on_inactive = on_inactive
        self._connection = Connection("keys")
        self._known: dict[bytes, KeySnapshot] = {}
        self._used: dict[bytes, float] = {}
        self._unknown: dict[bytes, float] = {}
        self._batcher: Batcher[bytes, KeySnapshot | None] = Batcher(self._load)

    async def find(self, digest: bytes) -> KeySnapshot | None:
        """Return the key of a digest, or None; raises psycopg.OperationalError when it has to ask and cannot."""
        snapshot = self._known.get(digest)
        if snapshot is not None:
            self._used[digest] = time.monotonic()
            return snapshot
        if self._unknown.get(digest, 0.0) > time.monotonic():
            return None
        return await self._batcher.call(digest)

    async def refresh(self, digests: Iterable[bytes] | None = None) -> None:
        """Read again the given keys that are held, or all of them."""
        if digests is None:
            self._forget_unused()
        wanted = list(self._known) if digests is None else [d for d in digests if d in self._known]
        if digests is not None:
            for digest in digests:
                self._unknown.pop(digest, None)
        if wanted:
            await self._load(wanted)

    def _forget_unused(self) -> None:
        oldest = time.monotonic() - FORGET_SECONDS
        for digest in [digest for digest, used in self._used.items() if used < oldest]:
            del self._used[digest]
            self._known.pop(digest, None)

    async def close(self) -> None:
        """Disconnect."""
        await self._batcher.close()
        await self._connection.close()

    async def _load(self, digests: Sequence[bytes]) -> list[KeySnapshot | BaseException | None]:
        asked = list(digests)
        rows = _decode(await self._connection.fetch_value(QUERY, *_parameters(asked)))
        found: dict[bytes, Any] = {bytes.fromhex(row.digest): row for row in rows}
        now = time.time()
        for digest in digests:
            self._remember(digest, found.get(digest), now)
        return [found.get(digest) for digest in digests]

    def _remember(self, digest: bytes, snapshot: KeySnapshot | None, now: float) -> None:
        before = self._known.get(digest)
        if snapshot is None:
            self._known.pop(digest, None)
            self._used.pop(digest, None)
            if len(self._unknown) >= MAX_UNKNOWN:
                self._unknown.clear()
            self._unknown[digest] = time.monotonic() + UNKNOWN_SECONDS
        else:
            self._unknown.pop(digest, None)
            self._known[digest] = snapshot
            self._used.setdefault(digest, time.monotonic())
        if before is not None and _has_ended(before, snapshot, now):
            self._on_inactive(before.id)


def _has_ended(before: KeySnapshot, after: KeySnapshot | None, now: float) -> bool:
    """
    Say whether the calls of a key are to be cut.

    The key may be used no more, or its present secret was replaced without any overlap. What was begun with a secret
    whose overlap is over may finish, since the key itself lives on.
    """
    if after is None:
        return before.retires_at is None
    return bool(after.ended_reason(now))
