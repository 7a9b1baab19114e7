"""Invoices while everything goes on: calls settled twice and late against closings, two beats, tasks told twice."""

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connections, transaction
from django.db.models import Count, Sum
from django.utils import timezone

from billing import stripe_client
from billing.invoices import billing_periods, invoice_tasks, invoicing
from billing.models import BillingPeriod, Invoice, InvoiceLine, StripePush, UsageEvent
from tests.billing.calls import (
    Payer,
    make_payer,
    open_doors,
    settlement,
    stored,
)
from tests.billing.owing import CENT, assert_books_balance, make_debtor, pay_afterwards, use
from tests.billing.stripe_world import assert_one_invoice_equal_to_ours, give_card

pytestmark = pytest.mark.django_db(transaction=True)

WRITERS, CALLS, SEALERS = 6, 8, 3


@pytest.mark.anyio
async def test_retried_settlement_and_late_commit_are_billed_once_each(transactional_db):
    """Every call is settled twice while periods are ended and closed beneath it; what comes late is on the next."""
    payer = await stored(join)
    written = asyncio.Event()

    async def write(number: int) -> None:
        async with open_doors() as doors:
            for call in range(CALLS):
                request = payer.call(10 * CENT)
                await doors.budgets.reserve(request)
                charged = settlement(request, (number * CALLS + call + 1) * CENT // 10)
                await asyncio.gather(doors.metering.settle(charged), doors.metering.settle(charged))

    async def seal() -> None:
        while not written.is_set():
            await stored(end_and_close, payer)

    sealers = [asyncio.create_task(seal()) for _ in range(SEALERS)]
    await asyncio.gather(*(write(number) for number in range(WRITERS)))
    written.set()
    await asyncio.gather(*sealers)
    await stored(end_and_close, payer)

    await stored(assert_billed_once, payer, calls=WRITERS * CALLS)


def join() -> Payer:
    payer = make_payer(credit_usd="0")
    pay_afterwards(payer.organization, since=timezone.now() - timedelta(hours=1))
    return payer


def end_and_close(payer: Payer) -> None:
    """End the open period now, and close all that is due; another sealer may have both in hand."""
    for period in BillingPeriod.objects.filter(organization=payer.organization, state="open"):
        billing_periods.end_early(period, now=billing_periods.database_now())
    for period_id in billing_periods.to_close(billing_periods.database_now()):
        try:
            invoicing.close(period_id, now=billing_periods.database_now())
        except invoicing.Busy:
            continue


def assert_billed_once(payer: Payer, *, calls: int) -> None:
    charged = sum(range(1, calls + 1)) * CENT // 10
    events = UsageEvent.objects.filter(organization=payer.organization)
    assert events.count() == calls
    lines = InvoiceLine.objects.filter(invoice__organization=payer.organization)
    billed = lines.aggregate(requests=Sum("requests"), charge=Sum("charge_nanousd"))
    waiting = events.filter(invoice_line_id=None)
    left = waiting.aggregate(requests=Count("pk"), charge=Sum("charge_nanousd"))
    assert (billed["requests"] or 0) + left["requests"] == calls
    assert (billed["charge"] or 0) + (left["charge"] or 0) == charged
    with transaction.atomic():
        assert_books_balance()


def test_two_beats_and_celery_redelivery_at_the_same_moment_make_one_invoice(fake_stripe):
    payer = make_debtor()
    period = BillingPeriod.objects.get()
    use(payer, *([30 * CENT] * 20), at=period.period_start + timedelta(days=1))
    give_card(fake_stripe, payer.organization)
    BillingPeriod.objects.update(period_end=timezone.now() - timedelta(hours=2))

    at_once(invoice_tasks.look_for_due_periods, times=2)
    invoice = Invoice.objects.exclude(state="zero").get()
    at_once(lambda: invoice_tasks.push_invoice(invoice_id=str(invoice.pk)), times=3)
    at_once(invoice_tasks.look_after_invoices, times=2)
    invoice_tasks.look_after_invoices()

    invoice.refresh_from_db()
    assert (invoice.state, invoice.net_cents, invoice.problem) == ("paid", 600, "")
    assert_one_invoice_equal_to_ours(fake_stripe, invoice)
    assert len(fake_stripe.objects("payment_intent")) == 1
    assert StripePush.objects.filter(invoice=invoice, state="done").count() >= 3
    with transaction.atomic():
        assert_books_balance()


def at_once(do: Callable[[], object], *, times: int) -> None:
    """
    Do something in as many threads at the same moment; a failure of any is one of the test.

    A rival who uses the same key makes Stripe refuse for now: that is tried again later, as the tasks do.
    """
    start, failures = threading.Barrier(times), []

    def run() -> None:
        try:
            start.wait()
            do()
        except stripe_client.StripeAway:
            return
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
