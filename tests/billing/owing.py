"""Organizations that pay afterwards, and calls of theirs in the past, booked as settlement books them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import F
from django.utils import timezone

from accounts.models import Organization
from billing import ledger, plans
from billing.invoices import billing_periods, invoicing
from billing.models import BillingPeriod, Invoice, LedgerTransfer, OutboxMessage, UsageEvent
from billing.verification.verify import INVARIANTS
from exerati.lib import ids
from tests.billing.calls import MODEL, Payer, make_payer

CENT = 10_000_000
DOLLAR = 100 * CENT
GRACE = timedelta(hours=1)
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)


def make_debtor(*, since: datetime = NOVEMBER, credit_usd: str = "0", **rules: Any) -> Payer:
    """Store a payer that pays afterwards since a moment."""
    payer = make_payer(credit_usd=credit_usd, **rules)
    pay_afterwards(payer.organization, since=since)
    return payer


def pay_afterwards(organization: Organization, *, since: datetime = NOVEMBER) -> None:
    """Switch an organization to postpaid."""
    plans.switch(organization, plan="postpaid", reason="test", actor=None, now=since)


def month_day_in_mid_month() -> int:
    """Return the first day of a month that began about two weeks ago and goes on for ten days, whatever day it is."""
    return (timezone.now().day + 13) % 28 + 1


def use(payer: Payer, *charges: int, at: datetime, **fields: Any) -> list[UsageEvent]:
    """Book calls of these nano-USD at a moment, as the settlement of postpaid calls does."""
    return use_all(payer, ((charge, at) for charge in charges), **fields)


def use_all(payer: Payer, calls: Iterable[tuple[int, datetime]], **fields: Any) -> list[UsageEvent]:
    """Book calls, each of (nano-USD, moment of admission)."""
    organization = payer.organization
    ledger.lock_wallet(organization.pk)
    events = [
        UsageEvent(
            **{
                "request_id": ids.new_uuid(),
                "occurred_at": at,
                "settled_at": at,
                "organization": organization,
                "project_id": payer.key.project_id,
                "key": payer.key,
                "mode": "live",
                "endpoint": "chat/completions",
                "model": MODEL,
                "outcome": "finished",
                "basis": "reported",
                "input_tokens": 1_000,
                "output_tokens": 500,
                "price_version": payer.price,
                "upper_nanousd": charge,
                "price_nanousd": charge,
                "charge_nanousd": charge,
                "postpaid": charge > 0,
                **fields,
            }
        )
        for charge, at in calls
    ]
    UsageEvent.objects.bulk_create(events)
    unbilled = ledger.account(organization, "unbilled")
    revenue = ledger.account(organization, "revenue")
    LedgerTransfer.objects.bulk_create(
        LedgerTransfer(
            idempotency_key=f"request:{event.request_id}",
            kind="usage",
            organization=organization,
            debit_account=unbilled,
            credit_account=revenue,
            amount_nanousd=event.charge_nanousd,
            created_at=event.settled_at,
        )
        for event in events
        if event.charge_nanousd
    )
    OutboxMessage.objects.bulk_create(
        OutboxMessage(
            request_id=event.request_id, occurred_at=event.occurred_at, organization=organization
        )
        for event in events
    )
    ledger.wallets(organization.pk).update(
        posted_nanousd=F("posted_nanousd") + sum(event.charge_nanousd for event in events)
    )
    return events


def close_month(organization: Organization, *, at: datetime | None = None) -> Invoice:
    """Let the open period's time and its grace pass (or until a moment), and close all that is due."""
    period = BillingPeriod.objects.get(organization=organization, state="open")
    now = at or period.period_end + GRACE
    billing_periods.roll_over(period, now=now)
    return close_due(organization, now=now)


def close_due(organization: Organization, *, now: datetime) -> Invoice:
    """Close the oldest period that is due."""
    [period_id] = billing_periods.to_close(now)
    invoice = invoicing.close(period_id, now=now)
    assert invoice is not None
    return invoice


def balances(organization: Organization) -> dict[str, int]:
    """Return the sums of an organization's accounts that are not zero; below zero is owed by it."""
    found = {}
    for account in organization.ledger_accounts.all():
        credits = sum(account.credits.values_list("amount_nanousd", flat=True))
        found[account.kind] = credits - sum(account.debits.values_list("amount_nanousd", flat=True))
    return {kind: amount for kind, amount in found.items() if amount}


def assert_books_balance() -> None:
    """Check every invariant of `ledger verify` but that of reservations, which calls made by `use` have none of."""
    with connection.cursor() as cursor:
        for invariant in INVARIANTS:
            if invariant.name == "reserved first":
                continue
            cursor.execute(invariant.broken)
            assert (invariant.name, cursor.fetchall()) == (invariant.name, [])
