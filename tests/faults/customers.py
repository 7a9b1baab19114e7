"""
Who calls in a run: three organizations, keys with and without caps, models and a watch on every cap.

The watch is a trigger in the run's own database: whatever commits with posted + held above a cap is noted, so a
breach is found also if it lasts for a millisecond. Caps are raised a little every second, so that they bind during
the whole run. Needs Django set up on the run's database.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import OperationalError, connection, transaction

from accounts.models import Organization
from apikeys.models import KeyModelBudget
from apikeys.services import CreatedKey
from billing import wallet
from billing.models import CreditLot
from gateway.models import Model, Route
from tests import factories
from tests.faults.provider import MODEL_OF_FAILING_ROUTE

CHAT = "faults/chat"
FALLBACK = "faults/two-routes"
UNBOUNDED = (
    "faults/unbounded"  # its provider takes no bound, so that long streams extend their reservation
)
EMBEDDING = "faults/embedding"
SANDBOX = "sandbox/slow"
# Nano-USD a token: those of factories.make_price and make_provider_cost.
INPUT_PRICE, OUTPUT_PRICE = 100, 400
INPUT_COST, OUTPUT_COST = 50, 200
# What a call of the unbounded model reserves at first, and by how many tokens it is extended at least.
UNBOUNDED_TOKENS = 20
EXTENSION_TOKENS = 1024
# What capped keys begin with, about four calls at once, and what they get more every second, about one call.
TIGHT_NANOUSD = 200_000
RAISE_NANOUSD = 12_000
NO_LIMITS: dict[str, Any] = {
    "requests_per_minute": 10**6,
    "tokens_per_minute": 10**9,
    "concurrency": 10**4,
}

WATCH = """
    CREATE TABLE faults_cap (scope text, scope_id bigint, model text, period text, cap bigint);
    CREATE TABLE faults_breach (at timestamptz, scope text, scope_id bigint, period text, reached bigint, cap bigint);
    CREATE FUNCTION faults_watch() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO faults_breach
        SELECT clock_timestamp(), c.scope, c.scope_id, c.period, NEW.posted_nanousd + NEW.held_nanousd, c.cap
        FROM faults_capped c WHERE c.id = NEW.id AND NEW.posted_nanousd + NEW.held_nanousd > c.cap;
        RETURN NULL;
    END $$;
    CREATE VIEW faults_capped AS
    SELECT b.id, b.scope, b.scope_id, b.period, b.posted_nanousd, b.held_nanousd,
           CASE b.scope WHEN 'wallet' THEN b.credited_nanousd ELSE c.cap END AS cap
    FROM billing_budget b LEFT JOIN faults_cap c USING (scope, scope_id, model, period)
    WHERE b.scope = 'wallet' OR c.cap IS NOT NULL;
    CREATE CONSTRAINT TRIGGER faults_watch AFTER INSERT OR UPDATE ON billing_budget
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION faults_watch();
"""


@dataclass(frozen=True, slots=True)
class Customer:
    """One key as the load uses it: its name, row id and secret, and how often it calls among the others."""

    name: str
    key_id: int
    secret: str = field(repr=False)
    mode: str
    weight: int


def make(*, provider_url: str) -> list[Customer]:
    """Store models, organizations and keys, set the watch, and return who calls."""
    _make_models(provider_url)
    rich, poor, capped = (factories.make_organization(name) for name in ("Rich", "Poor", "Capped"))
    factories.make_credit(rich, usd="1000")
    factories.make_credit(capped, usd="1000")
    factories.make_credit(poor, usd="0.0003")
    type(capped).objects.filter(pk=capped.pk).update(budget_day_nanousd=2 * TIGHT_NANOUSD)
    by_day, by_total, by_model = (
        factories.make_api_key(rich, budget_day_nanousd=TIGHT_NANOUSD, **NO_LIMITS),
        factories.make_api_key(rich, budget_total_nanousd=TIGHT_NANOUSD, **NO_LIMITS),
        factories.make_api_key(rich, **NO_LIMITS),
    )
    KeyModelBudget.objects.create(
        key=by_model.key, model=CHAT, period="month", cap_nanousd=TIGHT_NANOUSD
    )
    free = factories.make_api_key(rich, **NO_LIMITS)
    trial = factories.make_api_key(rich, mode="test", **NO_LIMITS)
    broke = factories.make_api_key(poor, **NO_LIMITS)
    grouped = [factories.make_api_key(capped, **NO_LIMITS) for _ in range(2)]
    _watch((
        ("organization", capped.pk, "", "day", 2 * TIGHT_NANOUSD),
        ("key", by_day.key.pk, "", "day", TIGHT_NANOUSD),
        ("key", by_total.key.pk, "", "total", TIGHT_NANOUSD),
        ("key_model", by_model.key.pk, CHAT, "month", TIGHT_NANOUSD),
    ))  # fmt: skip
    return [
        _customer("free", free, weight=12),
        _customer("by-day", by_day, weight=3),
        _customer("by-total", by_total, weight=2),
        _customer("by-model", by_model, weight=3),
        _customer("broke", broke, weight=2),
        *(_customer(f"grouped-{n}", key, weight=2) for n, key in enumerate(grouped, 1)),
        _customer("trial", trial, weight=2),
    ]


def _make_models(provider_url: str) -> None:
    provider = factories.make_provider("stand-in", base_url=provider_url)
    wide: dict[str, Any] = {"context_tokens": 4_000_000, "max_output_tokens": 1_000_000}
    factories.make_model(CHAT, provider=provider, **wide)
    fallback = factories.make_model(FALLBACK, provider=provider, **wide)
    Route.objects.filter(model=fallback).update(priority=1)
    Route.objects.create(
        model=fallback, provider=provider, upstream_model=MODEL_OF_FAILING_ROUTE, priority=0
    )
    unbounded = factories.make_provider(
        "stand-in-2", base_url=provider_url, quirks=["no_output_bound"]
    )
    factories.make_model(
        UNBOUNDED, provider=unbounded, **{**wide, "max_output_tokens": UNBOUNDED_TOKENS}
    )
    factories.make_provider_cost(unbounded, UNBOUNDED)
    factories.make_model(
        EMBEDDING, provider=provider, kind=Model.Kind.EMBEDDING, context_tokens=1_000_000
    )
    factories.make_model(SANDBOX)
    for model in (CHAT, FALLBACK, EMBEDDING):
        factories.make_provider_cost(provider, model)


RAISE = """
    UPDATE faults_cap SET cap = cap + %(more)s;
    UPDATE apikeys_apikey SET budget_day_nanousd = budget_day_nanousd + %(more)s,
                              budget_total_nanousd = budget_total_nanousd + %(more)s;
    UPDATE apikeys_keymodelbudget SET cap_nanousd = cap_nanousd + %(more)s;
    UPDATE accounts_organization SET budget_day_nanousd = budget_day_nanousd + %(more)s;
"""


def raise_caps(number: int) -> None:
    """Raise every cap a little, for the time `number`; raises django.db.OperationalError."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(RAISE, {"more": RAISE_NANOUSD})
        wallet.grant(
            Organization.objects.get(name="Poor"),
            amount_nanousd=RAISE_NANOUSD,
            source=CreditLot.Source.GRANT,
            idempotency_key=f"faults:{number}",
            reason="to go on",
        )
    except OperationalError:
        connection.close()  # broken; the next time makes a new one
        raise


def _customer(name: str, created: CreatedKey, *, weight: int) -> Customer:
    key = created.key
    return Customer(name=name, key_id=key.pk, secret=created.secret, mode=key.mode, weight=weight)


def _watch(caps: Iterable[tuple[str, int, str, str, int]]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(WATCH)
        cursor.executemany("INSERT INTO faults_cap VALUES (%s, %s, %s, %s, %s)", list(caps))
