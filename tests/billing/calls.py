"""Calls to reserve and settle, the doors to do it through, and a look at the counters."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from django.db import connections

from accounts.models import Organization
from apikeys.models import ApiKey
from billing.budgets import BudgetExceeded, Budgets, KeyInactive
from billing.metering import Metering
from billing.models import PriceVersion
from billing.types import AttemptRecord, ReserveRequest, Settlement, TokenUsage
from exerati.lib import ids
from exerati.lib.database import conninfo
from tests import factories

LEASE_SECONDS = 20
MODEL = "sandbox/echo"
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Payer:
    """An organization with a key and a price."""

    organization: Organization
    key: ApiKey
    price: PriceVersion

    def call(self, upper: int = 1_000, **changes: Any) -> ReserveRequest:
        """Return a request of this payer's key for so many nano-USD."""
        values: dict[str, Any] = {
            "request_id": ids.new_uuid(),
            "organization_id": self.organization.pk,
            "project_id": self.key.project_id,
            "key_id": self.key.pk,
            "mode": self.key.mode,
            "endpoint": "chat/completions",
            "model": MODEL,
            "price_version_id": self.price.pk,
            "upper_nanousd": upper,
            "streamed": False,
        }
        return ReserveRequest(**(values | changes))


def make_payer(*, credit_usd: str = "10", mode: str = "live", **rules: Any) -> Payer:
    """Store a payer with credit; the rules are those of the key."""
    organization = factories.make_organization()
    if credit_usd != "0":
        factories.make_credit(organization, usd=credit_usd)
    key = factories.make_api_key(organization, mode=mode, **rules).key
    price = PriceVersion.objects.filter(model=MODEL).first() or factories.make_price(MODEL)
    return Payer(organization, key, price)


def settlement(request: ReserveRequest | UUID, charge: int = 600, **changes: Any) -> Settlement:
    """Return the settlement of a call that was answered."""
    request_id = request if isinstance(request, UUID) else request.request_id
    values: dict[str, Any] = {
        "request_id": request_id,
        "usage": TokenUsage(input_tokens=10, output_tokens=20, cache_read_tokens=4),
        "outcome": "finished",
        "basis": "reported",
        "price_nanousd": charge,
        "charge_nanousd": charge,
        "provider_cost_nanousd": 500,
        "provider": "sandbox",
        "upstream_model": "echo",
        "upstream_id": "up_1",
        "attempts": (attempt(1, status=503, error_code="overloaded"), attempt(2)),
    }
    return Settlement(**(values | changes))


def attempt(number: int, **changes: Any) -> AttemptRecord:
    """Return one try at the sandbox provider."""
    values: dict[str, Any] = {"status": 200, **changes}
    return AttemptRecord(number, "sandbox", "echo", datetime(2026, 11, 22, tzinfo=UTC), **values)


@dataclass(frozen=True, slots=True)
class Doors:
    """One gateway process's way to the money."""

    budgets: Budgets
    metering: Metering


@asynccontextmanager
async def open_doors() -> AsyncIterator[Doors]:
    """Yield the doors of a gateway process, closed at the end."""
    owner = ids.new_uuid()
    doors = Doors(Budgets(owner, lease_seconds=LEASE_SECONDS), Metering(owner))
    try:
        yield doors
    finally:
        await doors.budgets.close()
        await doors.metering.close()


async def outcomes(budgets: Budgets, requests: list[ReserveRequest]) -> list[str]:
    """Reserve all at once and return `ok` or the name of the scope or state that refused."""
    results = await asyncio.gather(*map(budgets.reserve, requests), return_exceptions=True)
    return [named(result) for result in results]


def named(result: object) -> str:
    if result is None:
        return "ok"
    if isinstance(result, BudgetExceeded):
        return f"{result.refusal.scope} {result.refusal.period}"
    assert isinstance(result, KeyInactive), result
    return result.reason


async def stored(make: Callable[..., Made], *arguments: Any, **named: Any) -> Made:
    """Run a factory in a thread, since Django's own connection may not be used by async code."""

    def run() -> Made:
        try:
            return make(*arguments, **named)
        finally:
            connections.close_all()

    return await asyncio.to_thread(run)


def rows(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a statement, on a connection of its own so that async tests may ask, too."""
    with psycopg.connect(**conninfo(), autocommit=True) as own:
        cursor = own.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def budget(scope: str, scope_id: int, *, period: str = "total", model: str = "") -> tuple[int, int]:
    """Return (posted, held) of the newest counter."""
    found = rows(
        "SELECT posted_nanousd, held_nanousd FROM billing_budget WHERE scope = %s AND scope_id = %s"
        " AND period = %s AND model = %s ORDER BY period_start DESC LIMIT 1",
        scope,
        scope_id,
        period,
        model,
    )
    return found[0] if found else (0, 0)


def update(table: str, row_id: int, **values: Any) -> None:
    """Change columns of a row as the pages would, committed at once."""
    columns = ", ".join(f"{name} = %s" for name in values)
    rows(f"UPDATE {table} SET {columns} WHERE id = %s", *values.values(), row_id)  # noqa: S608  our own names


def expire_leases(request_ids: Iterable[UUID]) -> None:
    """Let the leases of these calls end a second ago."""
    rows(
        "UPDATE billing_reservation SET lease_until = clock_timestamp() - interval '1 second'"
        " WHERE request_id = ANY (%s)",
        list(request_ids),
    )


def sweep() -> int:
    """Sweep at once, as if the server had been up for long."""
    return int(rows("SELECT billing_sweep(500, 0)")[0][0])


def assert_books_balance() -> None:
    """
    Check the invariants that hold at every moment, over the whole database.

    I1: posted + held stays within what a wallet was credited. I2: each counter's posted is the sum of the
    events of its scope and period, and held that of its open reservations. I5: each event with a charge has
    transfers of the same amount, and nothing else is usage.
    """
    assert rows(OVERSPENT_WALLETS) == []
    assert rows(WRONG_COUNTERS) == []
    assert rows(WRONG_TRANSFERS) == []


OVERSPENT_WALLETS = """
SELECT b.* FROM billing_budget b LEFT JOIN billing_billingaccount a USING (organization_id)
WHERE b.scope = 'wallet'
  AND b.posted_nanousd + b.held_nanousd > b.credited_nanousd + coalesce(a.credit_limit_nanousd, 0)
"""

WRONG_COUNTERS = """
SELECT b.scope, b.scope_id, b.model, b.period, b.posted_nanousd, b.held_nanousd, e.posted, r.held
FROM billing_budget b
CROSS JOIN LATERAL (
    SELECT coalesce(sum(e.charge_nanousd), 0) AS posted FROM billing_usageevent e
    WHERE e.occurred_at >= b.period_start AND e.occurred_at < b.period_end AND CASE b.scope
        WHEN 'project' THEN e.project_id = b.scope_id
        WHEN 'key' THEN e.key_id = b.scope_id
        WHEN 'key_model' THEN e.key_id = b.scope_id AND e.model = b.model
        WHEN 'member' THEN e.key_id IN (
            SELECT k.id FROM apikeys_apikey k JOIN accounts_membership m USING (organization_id)
            WHERE m.id = b.scope_id AND m.user_id = k.created_by_id)
        ELSE e.organization_id = b.scope_id END
) e
CROSS JOIN LATERAL (
    SELECT coalesce(sum(r.upper_nanousd), 0) AS held FROM billing_reservation r
    WHERE r.state = 'open' AND r.budget_ids @> ARRAY[b.id]
) r
WHERE (b.posted_nanousd, b.held_nanousd) <> (e.posted, r.held)
  -- The counter of a member who left counts no more.
  AND (b.scope <> 'member' OR EXISTS (SELECT FROM accounts_membership m WHERE m.id = b.scope_id))
"""

WRONG_TRANSFERS = """
SELECT e.request_id, e.charge_nanousd, t.amount
FROM (SELECT * FROM billing_usageevent WHERE charge_nanousd > 0) e
FULL JOIN (
    SELECT split_part(t.idempotency_key, ':', 2)::uuid AS request_id,
           sum(CASE a.kind WHEN 'revenue' THEN t.amount_nanousd ELSE -t.amount_nanousd END) AS amount
    FROM billing_ledgertransfer t JOIN billing_ledgeraccount a ON a.id = t.credit_account_id
    WHERE t.kind IN ('usage', 'trueup') GROUP BY 1
) t USING (request_id)
WHERE coalesce(e.charge_nanousd, 0) <> coalesce(t.amount, 0)
"""
