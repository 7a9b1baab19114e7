"""Five weeks of calls of the sample organization: reserved and settled as a gateway does, then moved to their days."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from apikeys.models import ApiKey
from billing import price_book, pricing
from billing.models import PriceVersion
from billing.types import AttemptRecord, Price, ReserveRequest, Settlement, TokenUsage
from exerati.lib import ids
from exerati.lib.database import conninfo
from tests.billing.calls import open_doors

DAYS = 36
CALLS_A_DAY = 14
# Model, provider, its share of the calls, typical tokens in and out.
TRAFFIC = (
    ("claude-sonnet-4-6", "anthropic", 5, 60_000, 6_000),
    ("gpt-4o", "openai", 4, 40_000, 3_500),
    ("gpt-4o-mini", "openai", 8, 20_000, 2_500),
    ("gemini-2.5-flash", "google", 3, 90_000, 4_000),
    ("text-embedding-3-small", "openai", 2, 5_000, 0),
)
TIMES = {
    "billing_outboxmessage": "occurred_at",
    "billing_usageevent": "occurred_at",
}
_MOVE = "UPDATE {table} t SET {time} = m.at FROM sample_move m WHERE t.request_id = m.request_id"
_MOVE_ATTEMPTS = """UPDATE billing_attempt t SET started_at = m.at + (t.number - 1) * interval '150 ms'
FROM sample_move m WHERE t.request_id = m.request_id"""
# The credit that the calls used was there before them.
_MOVE_GRANTS = """UPDATE billing_ledgertransfer SET created_at = (SELECT min(at) FROM sample_move) - interval '1 hour'
WHERE kind = 'grant'"""
_MOVE_TRANSFERS = """UPDATE billing_ledgertransfer t SET created_at = m.at FROM sample_move m
WHERE t.idempotency_key = 'request:' || m.request_id"""
_MOVE_SETTLED = """UPDATE billing_usageevent e SET settled_at = m.at + e.duration_ms * interval '1 ms'
FROM sample_move m WHERE e.request_id = m.request_id"""
# A counter of a period holds the calls of that period alone, now that they have their days.
_RECOUNT = """UPDATE billing_budget b SET posted_nanousd = coalesce((
    SELECT sum(e.charge_nanousd) FROM billing_usageevent e
    WHERE e.occurred_at >= b.period_start AND e.occurred_at < b.period_end AND CASE b.scope
        WHEN 'project' THEN e.project_id = b.scope_id WHEN 'key' THEN e.key_id = b.scope_id
        WHEN 'key_model' THEN e.key_id = b.scope_id AND e.model = b.model
        WHEN 'member' THEN billing_is_of_member(b.scope_id, e.key_id)
        ELSE e.organization_id = b.scope_id END), 0)"""


@dataclass(frozen=True, slots=True)
class Call:
    """One call: what is reserved, how it ends, and when it is to have been."""

    reserve: ReserveRequest
    settle: Settlement
    at: datetime


def write(keys: Sequence[ApiKey], *, now: datetime) -> list[Call]:
    """Store the calls of these keys, all of one organization with enough credit; return them, oldest first."""
    dice = random.Random(7)
    prices = {model: _price(model, now) for model, *_ in TRAFFIC}
    weights = [share for _, _, share, *_ in TRAFFIC]
    found = []
    for at in _moments(now):
        traffic = dice.choices(TRAFFIC, weights)[0]
        found.append(_call(dice, traffic, key=dice.choice(keys), price=prices[traffic[0]], at=at))
    asyncio.run(_settle(found))
    _move({call.reserve.request_id: call.at for call in found})
    return found


def _moments(now: datetime) -> list[datetime]:
    """Return when the calls were, oldest first: in this order they get their ids, and their postings numbers."""
    dice = random.Random(8)
    found = []
    for number in range(DAYS * CALLS_A_DAY):
        back = timedelta(days=DAYS - (number / CALLS_A_DAY) ** 1.004, minutes=dice.random() * 400)
        found.append(min(now - timedelta(minutes=2, seconds=number % 50), now - back))
    return sorted(found)


def _price(model: str, now: datetime) -> Price:
    rows = PriceVersion.objects.filter(model=model, effective_from__lte=now)
    return price_book.price_of(rows.order_by("-effective_from")[0])


def _call(dice: random.Random, traffic: Any, *, key: ApiKey, price: Price, at: datetime) -> Call:
    model, provider, _, tokens_in, tokens_out = traffic
    size = dice.lognormvariate(0, 0.7)
    used = int(tokens_in * size) + 40
    output = int(tokens_out * size) + 12 if tokens_out else 0
    usage = TokenUsage(
        input_tokens=used,
        output_tokens=output,
        cache_read_tokens=int(used * dice.choice((0, 0, 0.4, 0.7))) if output else 0,
    )
    cost = pricing.charge_nanousd(usage, price=price)
    failed = dice.random() < 0.03
    first = dice.randrange(180, 900)
    tries = _tries(dice, provider, model, at=at, failed=failed, first=first)
    request_id = ids.new_uuid()
    return Call(
        ReserveRequest(
            request_id=request_id,
            organization_id=key.organization_id,
            project_id=key.project_id,
            key_id=key.pk,
            mode="live" if key.mode == "live" else "test",
            endpoint="chat.completions" if output else "embeddings",
            model=model,
            price_version_id=price.version_id,
            upper_nanousd=cost * 3,
            streamed=dice.random() < 0.6,
        ),
        Settlement(
            request_id=request_id,
            usage=TokenUsage() if failed else usage,
            outcome="failed" if failed else "finished",
            basis="waived" if failed else "reported",
            price_nanousd=0 if failed else cost,
            charge_nanousd=0 if failed or key.mode == "test" else cost,
            provider_cost_nanousd=0 if failed else int(cost / 1.055),
            provider=tries[-1].provider,
            upstream_model=model,
            upstream_id=f"up_{request_id.hex[-12:]}",
            status=503 if failed else 200,
            error_code="provider_overloaded" if failed else "",
            finish_reason="" if failed else "stop",
            first_token_ms=None if failed else first,
            duration_ms=sum(one.duration_ms or 0 for one in tries),
            attempts=tries,
        ),
        at,
    )


def _tries(
    dice: random.Random, provider: str, model: str, *, at: datetime, failed: bool, first: int
) -> tuple[AttemptRecord, ...]:
    """Return the attempts of a call: one in twelve needed a second provider."""
    refused = AttemptRecord(
        1,
        "openrouter",
        model,
        at,
        status=503,
        error_code="overloaded",
        first_byte_ms=140,
        duration_ms=150,
    )
    if failed:
        return (refused,)
    before = (refused,) if dice.random() < 0.08 else ()
    served = AttemptRecord(
        len(before) + 1,
        provider,
        model,
        at + timedelta(milliseconds=150 * len(before)),
        status=200,
        first_byte_ms=first,
        duration_ms=first + dice.randrange(300, 4_000),
    )
    return (*before, served)


async def _settle(found: Sequence[Call]) -> None:
    async with open_doors() as doors:
        await asyncio.gather(*(doors.budgets.reserve(call.reserve) for call in found))
        await asyncio.gather(*(doors.metering.settle(call.settle) for call in found))


def _move(times: dict[UUID, datetime]) -> None:
    """Move calls to other moments; the ledger, which refuses changes, is told to look away."""
    with psycopg.connect(**conninfo()) as connection:
        connection.execute(
            "CREATE TEMP TABLE sample_move (request_id uuid PRIMARY KEY, at timestamptz)"
        )
        cursor = connection.cursor()
        cursor.executemany(
            "INSERT INTO sample_move VALUES (%s, %s)",
            [(request_id, at.astimezone(UTC)) for request_id, at in times.items()],
        )
        connection.execute("ALTER TABLE billing_ledgertransfer DISABLE TRIGGER append_only")
        for table, time in TIMES.items():
            connection.execute(_MOVE.format(table=table, time=time))
        connection.execute(_MOVE_SETTLED)
        connection.execute(_MOVE_ATTEMPTS)
        connection.execute(_MOVE_TRANSFERS)
        connection.execute(_MOVE_GRANTS)
        connection.execute("ALTER TABLE billing_ledgertransfer ENABLE TRIGGER append_only")
        connection.execute(_RECOUNT)
