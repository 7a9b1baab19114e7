"""
Admission: reserve the upper bound of a call on every budget that applies, or refuse it.

The decision is made in PostgreSQL (`billing/sql/reserve.sql`); this is its batched door. One Budgets object
belongs to one event loop.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import psycopg

from billing.types import Refusal, ReserveRequest
from exerati.lib.batch import Batcher
from exerati.lib.database import Connection

# Errors of one item (bad data) rather than of the connection: sent again one by one.
POISON = (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.DeadlockDetected)


class BillingUnavailable(Exception):
    """The database did not answer, so nothing was admitted; `retry_after_seconds` is a hint."""

    retry_after_seconds = 2


class BudgetExceeded(Exception):
    """A budget or the wallet has no room for the call; nothing was reserved."""

    def __init__(self, refusal: Refusal, affordable_tokens: int | None = None) -> None:
        super().__init__(refusal.scope)
        self.refusal = refusal
        self.affordable_tokens = affordable_tokens


class KeyInactive(Exception):
    """The key or its organization may not spend: `unknown`, `revoked`, `disabled`, `expired` or `suspended`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ReservationLost(Exception):
    """The call was settled, swept or taken by another process."""


class Verdict(msgspec.Struct):
    """One answer of the SQL function."""

    verdict: str
    scope: str = ""
    period: str = ""
    cap: int = 0
    posted: int = 0
    held: int = 0
    needed: int = 0
    frees_at: datetime | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Verdict]).decode


def json_array(items: Sequence[bytes]) -> str:
    """Return encoded items as one JSON array."""
    return (b"[" + b",".join(items) + b"]").decode()


class Budgets:
    """The batched door to reserve, renew and sweep of one gateway process, known by `owner`."""

    def __init__(self, owner: UUID, *, lease_seconds: int) -> None:
        self.owner = owner
        self._lease_seconds = lease_seconds
        self._reserving = Connection("reserve")
        self._upkeep = Connection("upkeep")
        self._batcher: Batcher[bytes, None] = Batcher(self._reserve, retry_singly=POISON)
        self._extender: Batcher[bytes, str] = Batcher(self._extend, retry_singly=POISON)

    async def reserve(self, request: ReserveRequest) -> None:
        """Hold the upper bound; raises BudgetExceeded, KeyInactive or BillingUnavailable."""
        try:
            # Encoded here and not in the batch, so that one that cannot be encoded fails alone.
            await self._batcher.call(_encode(request))
        except (psycopg.OperationalError, psycopg.InterfaceError, ConnectionError) as error:
            raise BillingUnavailable from error

    async def renew(self, calls: Sequence[dict[str, Any]]) -> list[UUID]:
        """
        Renew the leases and store the progress of this process's open calls; return those lost to the sweep.

        A call is `{request_id, input_tokens, output_tokens, progress_nanousd, sent}`, and once it was sent
        `provider_cost_nanousd` (None: unknown) and `attempts`, rows of `metering.attempt_rows`.
        """
        answer = await self._upkeep.fetch_value(
            "SELECT billing_renew(%s::text::jsonb, %s, %s)::text",
            _encode(calls).decode(),
            self.owner,
            self._lease_seconds,
        )
        return msgspec.json.decode(answer, type=list[UUID])

    async def extend(self, request_id: UUID, *, step: int, more_nanousd: int) -> bool:
        """
        Raise the bound of an open call on every budget that applies; return whether all had room for it.

        Steps of a call are numbered from 1; a repeated step changes nothing. Raises ReservationLost when the call
        is no longer open under this process, and BillingUnavailable; then nothing is known to be added.
        """
        row = {"request_id": request_id, "step": step, "more_nanousd": more_nanousd}
        try:
            verdict = await self._extender.call(_encode(row))
        except (psycopg.OperationalError, psycopg.InterfaceError, ConnectionError) as error:
            raise BillingUnavailable from error
        if verdict == "lost":
            raise ReservationLost(request_id)
        return verdict == "ok"

    async def sweep(self, *, at_most: int = 500) -> int:
        """Settle calls whose process is gone; return how many."""
        return int(
            await self._upkeep.fetch_value(
                "SELECT billing_sweep(%s, %s)", at_most, self._lease_seconds
            )
        )

    async def close(self) -> None:
        """Send what is queued, then disconnect."""
        await self._batcher.close()
        await self._extender.close()
        await self._reserving.close()
        await self._upkeep.close()

    async def _extend(self, wishes: Sequence[bytes]) -> list[str]:
        answer = await self._upkeep.fetch_value(
            "SELECT billing_extend(%s::text::jsonb, %s)::text", json_array(wishes), self.owner
        )
        return [verdict.verdict for verdict in _decode(answer)]

    async def _reserve(self, requests: Sequence[bytes]) -> list[BaseException | None]:
        answer = await self._reserving.fetch_value(
            "SELECT billing_reserve(%s::text::jsonb, %s, %s)::text",
            json_array(requests),
            self.owner,
            self._lease_seconds,
        )
        return [_outcome(verdict) for verdict in _decode(answer)]


def outcome_of(answer: str) -> BaseException | None:
    """Return what the SQL function's answer to a single request means: None when it would be admitted."""
    [verdict] = _decode(answer)
    return _outcome(verdict)


def _outcome(verdict: Verdict) -> BaseException | None:
    if verdict.verdict == "ok":
        return None
    if verdict.verdict != "over":
        return KeyInactive(verdict.verdict)
    return BudgetExceeded(
        Refusal(
            scope=verdict.scope,
            period=verdict.period,
            cap_nanousd=verdict.cap,
            posted_nanousd=verdict.posted,
            held_nanousd=verdict.held,
            needed_nanousd=verdict.needed,
            frees_at=verdict.frees_at,
        )
    )
