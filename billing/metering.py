"""
Settlement: usage event, ledger, budgets and outbox of a finished call in one transaction, exactly once.

The work is done in PostgreSQL (`billing/sql/settle.sql`); this is its batched door. One Metering object
belongs to one event loop.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from billing.budgets import POISON
from billing.types import Settlement, TokenUsage
from exerati.lib.batch import Batcher
from exerati.lib.database import Connection

# Token classes and units without a column of their own on the usage event.
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
)


class Settled(msgspec.Struct, frozen=True):
    """The result: the charge that stands, and whether this settlement made it (else an earlier one did)."""

    request_id: UUID
    settled: bool
    charge: int | None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Settled]).decode


class Metering:
    """The batched door to settle of one gateway process."""

    def __init__(self) -> None:
        self._connection = Connection("settle")
        self._batcher: Batcher[Settlement, Settled] = Batcher(self._settle, retry_singly=POISON)

    async def settle(self, settlement: Settlement) -> Settled:
        """
        End the call; a second settlement of the same request changes nothing and returns the first charge.

        Raises psycopg.OperationalError when the database is away: settling again later is safe.
        """
        return await self._batcher.call(settlement)

    async def close(self) -> None:
        """Send what is queued, then disconnect."""
        await self._batcher.close()
        await self._connection.close()

    async def _settle(self, settlements: Sequence[Settlement]) -> list[Settled | BaseException]:
        payload = _encode([_row(settlement) for settlement in settlements]).decode()
        answer = await self._connection.fetch_value(
            "SELECT billing_settle(%s::text::jsonb)::text", payload
        )
        by_id = {result.request_id: result for result in _decode(answer)}
        return [by_id[settlement.request_id] for settlement in settlements]


def _row(settlement: Settlement) -> dict[str, Any]:
    usage = settlement.usage
    return {
        "request_id": settlement.request_id,
        "outcome": settlement.outcome,
        "basis": settlement.basis,
        "price_nanousd": settlement.price_nanousd,
        "charge_nanousd": settlement.charge_nanousd,
        "provider_cost_nanousd": settlement.provider_cost_nanousd,
        "provider": settlement.provider,
        "upstream_model": settlement.upstream_model,
        "upstream_id": settlement.upstream_id,
        "status": settlement.status,
        "error_code": settlement.error_code,
        "finish_reason": settlement.finish_reason,
        "first_token_ms": settlement.first_token_ms,
        "duration_ms": settlement.duration_ms,
        "client_request_id": settlement.client_request_id,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_5m_tokens + usage.cache_write_1h_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "usage_details": _details(usage),
        "attempts": settlement.attempts,
    }


def _details(usage: TokenUsage) -> dict[str, int]:
    return {name: count for name in DETAILS if (count := getattr(usage, name))}
