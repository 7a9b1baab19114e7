"""
Refused requests are written down behind: off the hot path, many at a time, and never at the cost of an answer.

`note` only puts the record aside; a round of the process's upkeep stores what has come together. What cannot be
stored waits, up to a bound; beyond it, and when a process is killed, records of the last moments are lost: they
explain, they are no money. One Refusals object belongs to one event loop.
"""

import logging
import time
from collections import Counter
from datetime import datetime
from uuid import UUID

import msgspec
import psycopg

from exerati.lib.database import Connection

EACH_MINUTE = 60  # refusals of one key stored in full, in each process
MAX_WAITING = 5_000

# A row whose id is there already stands for more requests than one: the key hammers. A refusal for money wakes the
# alerts, since a budget may be full for every call that comes without being used up to the last cent.
STORE = """
WITH refused AS MATERIALIZED (
    SELECT r.* FROM jsonb_to_recordset(%s::text::jsonb) AS r (
        request_id uuid, occurred_at timestamptz, organization_id bigint, project_id bigint, key_id bigint, mode text,
        endpoint text, model text, client_request_id text, status int, code text, message text, advice text, param text,
        limit_kind text, scope text, period text, cap_nanousd bigint, posted_nanousd bigint, held_nanousd bigint,
        needed_nanousd bigint, affordable_tokens bigint, limit_count bigint, limit_remaining bigint,
        limit_needed bigint, frees_at timestamptz, count int)
), changed AS (
    INSERT INTO billing_changedspend AS c (organization_id)
    SELECT DISTINCT organization_id FROM refused WHERE scope <> '' AND period <> 'request' AND limit_kind = 'money'
    ORDER BY 1
    ON CONFLICT (organization_id) DO UPDATE SET organization_id = c.organization_id
), stored AS (
    INSERT INTO billing_refusedrequest AS o (
        request_id, occurred_at, organization_id, project_id, key_id, mode, endpoint, model, client_request_id, status,
        code, message, advice, param, limit_kind, scope, period, cap_nanousd, posted_nanousd, held_nanousd,
        needed_nanousd, affordable_tokens, limit_count, limit_remaining, limit_needed, frees_at, count)
    SELECT * FROM refused
    ON CONFLICT (request_id) DO UPDATE SET count = o.count + excluded.count
    RETURNING 1
)
SELECT count(*) FROM stored
"""

logger = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


class RefusedCall(msgspec.Struct, kw_only=True):
    """One refused request; the fields are RefusedRequest's. Texts are cut and cleaned when it is noted."""

    request_id: UUID
    occurred_at: datetime
    organization_id: int
    project_id: int
    key_id: int
    mode: str
    endpoint: str
    status: int
    code: str
    message: str
    advice: str = ""
    param: str = ""
    model: str = ""
    client_request_id: str = ""
    limit_kind: str = ""
    scope: str = ""
    period: str = ""
    cap_nanousd: int | None = None
    posted_nanousd: int | None = None
    held_nanousd: int | None = None
    needed_nanousd: int | None = None
    affordable_tokens: int | None = None
    limit_count: int | None = None
    limit_remaining: int | None = None
    limit_needed: int | None = None
    frees_at: datetime | None = None
    count: int = 1


_TEXTS = {
    "endpoint": 80,
    "model": 120,
    "client_request_id": 200,
    "code": 60,
    "message": 600,
    "advice": 400,
    "param": 120,
}


class Refusals:
    """The refusals of one gateway process that are still to be stored."""

    def __init__(self) -> None:
        self._connection = Connection("refusals")
        self._waiting: dict[UUID, RefusedCall] = {}
        self._minute = 0
        self._noted: Counter[int] = Counter()
        self._more: dict[tuple[int, str], RefusedCall] = {}
        self._lost = 0

    def note(self, refused: RefusedCall) -> None:
        """Keep a refusal until the next flush. Never raises, never waits."""
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute = minute
            self._noted.clear()
            self._more.clear()
        self._noted[refused.key_id] += 1
        if self._noted[refused.key_id] > EACH_MINUTE:
            # From here on one row of each kind counts: its id is that of the first.
            first = self._more.setdefault((refused.key_id, refused.code), refused)
            refused = msgspec.structs.replace(first, count=1)
        self._keep(refused)

    async def flush(self) -> int:
        """
        Store what waits; return how many rows that were.

        Raises psycopg.OperationalError when the database is away; then everything waits for the next time.
        """
        if self._lost:
            logger.warning("%s refusals were not kept: too many wait", self._lost)
            self._lost = 0
        batch, self._waiting = list(self._waiting.values()), {}
        if not batch:
            return 0
        try:
            rows = [_clean(refused) for refused in batch]
            return int(await self._connection.fetch_value(STORE, _encode(rows).decode()))
        except (psycopg.OperationalError, psycopg.InterfaceError):
            for refused in batch:
                self._keep(refused)
            raise

    async def close(self) -> None:
        """Store what waits, if that is possible, then disconnect."""
        try:
            await self.flush()
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            logger.warning("%s refusals are not stored: %s", len(self._waiting), error)
        await self._connection.close()

    def _keep(self, refused: RefusedCall) -> None:
        known = self._waiting.get(refused.request_id)
        if known is not None:
            known.count += refused.count
        elif len(self._waiting) < MAX_WAITING:
            self._waiting[refused.request_id] = refused
        else:
            self._lost += refused.count


def _clean(refused: RefusedCall) -> RefusedCall:
    """Return the record as PostgreSQL takes it: without NUL and lone surrogates, no longer than its columns."""
    texts = {name: _text(getattr(refused, name), length) for name, length in _TEXTS.items()}
    return msgspec.structs.replace(refused, **texts)


def _text(text: str, length: int) -> str:
    return text[:length].encode("utf-8", "replace").decode().replace("\x00", "")
