"""
Settlement: usage event, ledger, budgets and outbox of a finished call in one transaction, exactly once.

The work is done in PostgreSQL (`billing/sql/settle.sql`); this is its batched door. One Metering object
belongs to one event loop.
"""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from billing.budgets import POISON, json_array
from billing.types import AttemptRecord, Settlement, TokenUsage
from exerati.lib.batch import Batcher
from exerati.lib.database import Connection

# Token classes, units, and the size that tells the prompt tier, without a column of their own on the usage event.
DETAILS = (
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
    "images",
    "seconds",
    "characters",
    "searches",
    "longest_prompt_tokens",
)
# Texts from outside, cut to what their columns hold.
LENGTHS = {
    "provider": 60,
    "upstream_model": 200,
    "upstream_id": 200,
    "error_code": 60,
    "finish_reason": 40,
    "client_request_id": 200,
}


class ForeignReservation(Exception):
    """Another process holds the reservation, so that this one may not settle it; nothing was changed."""


class Settled(msgspec.Struct, frozen=True):
    """
    The result: the charge that stands, and whether this settlement ended the call (else an earlier one did).

    After a sweep the charge is that of the estimate, trued up as far as the budgets have room.
    """

    request_id: UUID
    settled: bool
    charge: int | None
    foreign: bool = False


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Settled]).decode


class Metering:
    """The batched door to settle of one gateway process, known by `owner`, which has reserved the calls."""

    def __init__(self, owner: UUID) -> None:
        self._owner = owner
        self._connection = Connection("settle")
        self._batcher: Batcher[tuple[UUID, bytes], Settled] = Batcher(
            self._settle, retry_singly=POISON
        )

    def submit(self, settlement: Settlement) -> "asyncio.Future[Settled]":
        """Queue the settlement and return the future of its result; see `settle`."""
        return self._batcher.submit((settlement.request_id, _encode(_row(settlement))))

    async def settle(self, settlement: Settlement) -> Settled:
        """
        End the call; a second settlement of the same request changes nothing and returns the first charge.

        Raises psycopg.OperationalError when the database is away: settling again later is safe. Raises
        ForeignReservation.
        """
        return await self.submit(settlement)

    async def close(self) -> None:
        """Send what is queued, then disconnect."""
        await self._batcher.close()
        await self._connection.close()

    async def _settle(
        self, settlements: Sequence[tuple[UUID, bytes]]
    ) -> list[Settled | BaseException]:
        answer = await self._connection.fetch_value(
            "SELECT billing_settle(%s::text::jsonb, %s)::text",
            json_array([row for _, row in settlements]),
            self._owner,
        )
        by_id = {result.request_id: result for result in _decode(answer)}
        results = (by_id[request_id] for request_id, _ in settlements)
        return [ForeignReservation() if result.foreign else result for result in results]


def _row(settlement: Settlement) -> dict[str, Any]:
    usage = settlement.usage
    return {
        "request_id": settlement.request_id,
        "model": settlement.model,
        "price_version_id": settlement.price_version_id,
        "usage_flag": settlement.usage_flag,
        "outcome": settlement.outcome,
        "basis": settlement.basis,
        "price_nanousd": settlement.price_nanousd,
        "charge_nanousd": settlement.charge_nanousd,
        "provider_cost_nanousd": settlement.provider_cost_nanousd,
        "status": settlement.status,
        "finish_reason": _storable(settlement.finish_reason, "finish_reason"),
        "first_token_ms": settlement.first_token_ms,
        "duration_ms": settlement.duration_ms,
        "client_request_id": _storable(settlement.client_request_id, "client_request_id"),
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_5m_tokens + usage.cache_write_1h_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "usage_details": _details(usage),
        "attempts": attempt_rows(settlement.attempts),
        "tags": settlement.tags or None,
        "service_tier": settlement.service_tier,
        **_upstream(settlement),
    }


def attempt_rows(attempts: Sequence[AttemptRecord]) -> list[dict[str, Any]]:
    """Return attempts as the SQL functions take them."""
    return [_attempt(attempt) for attempt in attempts]


def _attempt(attempt: AttemptRecord) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "status": attempt.status,
        "provider_cost_nanousd": attempt.provider_cost_nanousd,
        "first_byte_ms": attempt.first_byte_ms,
        "duration_ms": attempt.duration_ms,
        "started_at": attempt.started_at,
        **_upstream(attempt),
    }


def _upstream(call: Settlement | AttemptRecord) -> dict[str, str]:
    return {
        "provider": _storable(call.provider, "provider"),
        "upstream_model": _storable(call.upstream_model, "upstream_model"),
        "upstream_id": _storable(call.upstream_id, "upstream_id"),
        "error_code": _storable(call.error_code, "error_code"),
    }


def _storable(text: str, column: str) -> str:
    """Return the text as PostgreSQL can keep it: no NUL, no lone surrogate, no longer than its column."""
    length = LENGTHS[column]
    if text.isascii() and "\0" not in text:
        return text[:length]
    return text.encode(errors="replace").decode().replace("\0", "")[:length]


def _details(usage: TokenUsage) -> dict[str, int]:
    return {name: count for name in DETAILS if (count := getattr(usage, name))}
