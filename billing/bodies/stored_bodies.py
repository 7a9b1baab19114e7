"""
Bodies of requests and answers, for organizations that switched this on: redacted, sealed, kept for so many days.

`StoredBodies` is a gateway process's way in: a call only puts its body aside, within a bound; a round of the upkeep
redacts and seals in a thread and stores many in one statement. Without the switch nothing of this runs. The rest is
for pages and tasks: `read`, `change_days`, `prune`.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import psycopg
from django.db import connection, transaction

from accounts import audit
from accounts.models import Organization, User
from billing.bodies import redaction
from billing.models import StoredBody
from exerati.lib.database import Connection
from exerati.lib.encryption import CannotDecrypt, decrypt, encrypt

DAYS = (0, 1, 7, 30, 90)
MOST_WAITING = 1_000
MOST_WAITING_BYTES = 32 * 2**20
BATCH = 2_000

# The switch is read again here: a body that waited while it was switched off is not stored.
STORE = """
WITH kept AS (
    INSERT INTO billing_storedbody (request_id, organization_id, sealed, stored_at, expires_at)
    SELECT b.request_id, o.id, decode(b.sealed, 'base64'), now(), now() + make_interval(days => o.body_days)
    FROM jsonb_to_recordset(%s::text::jsonb) AS b (request_id uuid, organization_id bigint, sealed text)
    JOIN accounts_organization o ON o.id = b.organization_id AND o.body_days > 0
    ON CONFLICT (request_id) DO NOTHING
    RETURNING 1
)
SELECT count(*) FROM kept
"""
PRUNE = """
DELETE FROM billing_storedbody WHERE request_id IN (
    SELECT request_id FROM billing_storedbody WHERE expires_at <= %s LIMIT %s FOR UPDATE SKIP LOCKED
)
"""

logger = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


class SealedRow(msgspec.Struct):
    """One body as the statement takes it; bytes become base64."""

    request_id: UUID
    organization_id: int
    sealed: bytes


def decoded(data: bytes) -> str:
    """Return bytes as text."""
    return data.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class CalledBody:
    """
    What one call asked, and what it was answered (empty where there was no answer).

    `read_answer` makes text of the answer, in the thread that seals it.
    """

    request_id: UUID
    organization_id: int
    request: bytes
    answer: bytes
    read_answer: Callable[[bytes], str] = decoded

    @property
    def size(self) -> int:
        """Bytes that it takes while it waits."""
        return len(self.request) + len(self.answer)


@dataclass(frozen=True, slots=True)
class Body:
    """A stored body, opened."""

    request: str
    answer: str
    stored_at: datetime
    expires_at: datetime


class StoredBodies:
    """The bodies of one gateway process that are still to be stored."""

    def __init__(self) -> None:
        self._connection = Connection("bodies")
        self._waiting: list[CalledBody] = []
        self._waiting_bytes = 0
        self._lost = 0

    def note(self, body: CalledBody) -> None:
        """Keep a body until the next flush, if there is room. Never raises, never waits."""
        full = self._waiting_bytes + body.size > MOST_WAITING_BYTES
        if full or len(self._waiting) >= MOST_WAITING:
            self._lost += 1
            return
        self._waiting.append(body)
        self._waiting_bytes += body.size

    async def flush(self) -> int:
        """
        Store what waits; return how many that were.

        Raises psycopg.OperationalError when the database is away; then everything waits for the next time.
        """
        if self._lost:
            logger.warning("%s bodies were not kept: too many wait", self._lost)
            self._lost = 0
        batch, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if not batch:
            return 0
        rows = await asyncio.to_thread(_sealed_rows, batch)
        try:
            return int(await self._connection.fetch_value(STORE, rows))
        except (psycopg.OperationalError, psycopg.InterfaceError):
            for body in batch:
                self.note(body)
            raise

    async def close(self) -> None:
        """Store what waits, if that is possible, then disconnect."""
        try:
            await self.flush()
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            logger.warning("%s bodies are not stored: %s", len(self._waiting), error)
        await self._connection.close()


def _sealed_rows(batch: Sequence[CalledBody]) -> str:
    rows = [SealedRow(body.request_id, body.organization_id, sealed(body)) for body in batch]
    return _encode(rows).decode()


def sealed(body: CalledBody) -> bytes:
    """Return a body as it is stored: decoded, redacted, cut, and encrypted for this request alone."""
    texts = {"request": decoded(body.request), "answer": body.read_answer(body.answer)}
    parts = {name: redaction.cut(redaction.redacted(text)) for name, text in texts.items()}
    return encrypt(json.dumps(parts), context=_context(body.organization_id, body.request_id))


def read(organization: Organization, request_id: UUID, *, now: datetime) -> Body | None:
    """Return what is kept of a request, None where nothing is or its time is over; runs one query."""
    found = StoredBody.objects.filter(
        organization=organization, request_id=request_id, expires_at__gt=now
    ).first()
    if found is None:
        return None
    try:
        parts = json.loads(decrypt(found.sealed, context=_context(organization.pk, request_id)))
    except CannotDecrypt:
        logger.error("the body of %s cannot be opened: was the field key changed?", request_id)
        return None
    return Body(parts["request"], parts["answer"], found.stored_at, found.expires_at)


def is_kept(organization: Organization, request_id: UUID, *, now: datetime) -> bool:
    """Say whether a body of the request can be read; runs one query."""
    return StoredBody.objects.filter(
        organization=organization, request_id=request_id, expires_at__gt=now
    ).exists()


@transaction.atomic
def change_days(organization: Organization, *, days: int, actor: User) -> None:
    """
    Switch storing on (1 to 90 days) or off (0); it holds in every process within seconds.

    Off deletes at once what is there; fewer days shorten the life of what is there, more do not lengthen it.
    """
    stored = Organization.objects.select_for_update().get(pk=organization.pk)
    if stored.body_days == days:
        return
    Organization.objects.filter(pk=organization.pk).update(body_days=days)
    own = StoredBody.objects.filter(organization=organization)
    if days == 0:
        own.delete()
    else:
        latest = datetime.now(UTC) + timedelta(days=days)
        own.filter(expires_at__gt=latest).update(expires_at=latest)
    audit.record(
        organization,
        action="bodies.days_changed",
        actor=actor,
        details={"from": stored.body_days, "to": days},
    )


def prune(now: datetime, *, batch: int = BATCH) -> int:
    """Delete what is past its time; return how many."""
    total = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(PRUNE, [now, batch])
            deleted = int(cursor.rowcount)
        total += deleted
        if deleted < batch:
            return total


def _context(organization_id: int, request_id: UUID) -> str:
    return f"body:{organization_id}:{request_id}"
