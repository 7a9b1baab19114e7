"""
Random histories of one organization that pays afterwards: calls in time and late, adjustments, early ends, months,
changes of plan, payments, debts given up and credit notes in any order, and the books hold all along.

`EXERATI_SEEDS=500` plays more of them, `EXERATI_FIRST_SEED=N` begins elsewhere.
"""

import os
import random
from collections.abc import Callable
from datetime import timedelta

import pytest

from billing import plans
from billing.invoices import billing_periods, credit_notes, invoice_states, invoicing
from billing.invoices.stripe_invoices import Remote
from billing.models import BillingPeriod, Invoice
from tests.billing.owing import CENT, NOVEMBER, assert_books_balance, make_debtor, use

pytestmark = pytest.mark.django_db
SEEDS = int(os.environ.get("EXERATI_SEEDS", "4"))
FIRST = int(os.environ.get("EXERATI_FIRST_SEED", "1"))
STEPS, CHECK_EVERY = 30, 6
State = Invoice.State


class History:
    """One organization, its clock, and what may happen to it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.payer = make_debtor()
        self.now = NOVEMBER

    @property
    def organization(self):
        return self.payer.organization

    def nanousd(self) -> int:
        """Return an amount that is often a part of a cent, and often below the least of an invoice."""
        return self.random.choice((1, 3, CENT // 3, 7 * CENT, 250 * CENT)) * self.random.randint(
            1, 9
        )

    def pass_time(self) -> None:
        self.now += timedelta(hours=self.random.choice((1, 9, 100)))

    def call(self) -> None:
        if self.is_postpaid():
            use(self.payer, *(self.nanousd() for _ in range(3)), at=self.now)

    def call_late(self) -> None:
        """A call of some days ago that is settled only now."""
        start = BillingPeriod.objects.earliest("period_start").period_start
        if self.is_postpaid():
            use(self.payer, self.nanousd(), at=max(start, self.now - timedelta(days=6)))

    def adjust(self) -> None:
        amount = self.nanousd() * self.random.choice((1, -1))
        plans.adjust(self.organization, amount_nanousd=amount, reason="test", actor=None)

    def end_early(self) -> None:
        for period in self.open_periods():
            if period.period_start < self.now:
                billing_periods.end_early(period, now=self.now)

    def end_month(self) -> None:
        for period in self.open_periods():
            self.now = max(self.now, period.period_end)
            billing_periods.roll_over(period, now=self.now)

    def close(self) -> None:
        now = self.now + timedelta(hours=2)
        for period_id in billing_periods.to_close(now):
            invoicing.close(period_id, now=now)

    def switch(self) -> None:
        plan = "prepaid" if self.is_postpaid() else "postpaid"
        newest = BillingPeriod.objects.latest("period_start")
        if newest.period_start < self.now and (plan == "prepaid" or newest.period_end <= self.now):
            plans.switch(self.organization, plan=plan, reason="test", actor=None, now=self.now)

    def told(self) -> None:
        """Stripe says something of an invoice, perhaps again or out of order."""
        for invoice in Invoice.objects.exclude(
            state__in=(State.CLOSING, State.ZERO, State.CARRIED)
        ):
            status = self.random.choice(("draft", "open", "open", "paid", "uncollectible", "void"))
            invoice_states.apply(invoice.pk, remote(invoice, status), now=self.now)

    def credit(self) -> None:
        invoice = Invoice.objects.filter(state__in=(State.OPEN, State.PAID)).order_by("?").first()
        left = invoice.net_cents - invoice.credited_cents if invoice else 0
        if invoice and left:
            cents = self.random.randint(1, left)
            credit_notes.issue(invoice, net_cents=cents, reason="test", actor=None)

    def is_postpaid(self) -> bool:
        return plans.account(self.organization).plan == "postpaid"

    def open_periods(self) -> list[BillingPeriod]:
        return list(BillingPeriod.objects.filter(state="open").select_related("organization"))

    def step(self) -> str:
        choices: tuple[Callable[[], None], ...] = (
            *[self.call] * 4,
            *[self.pass_time] * 3,
            *[self.close] * 3,
            *[self.told] * 2,
            self.call_late,
            self.adjust,
            self.end_early,
            self.end_month,
            self.switch,
            self.credit,
        )
        do = self.random.choice(choices)
        do()
        return do.__name__


def remote(invoice: Invoice, status: str) -> Remote:
    """Return what Stripe would say of an invoice in a state; a fifth is its tax."""
    tax = invoice.net_cents // 5
    return Remote(
        id=f"in_{invoice.uuid}",
        reference=str(invoice.uuid),
        customer_id="cus_1",
        status=status,
        net_cents=invoice.net_cents,
        tax_cents=tax,
        total_cents=invoice.net_cents + tax,
        number=f"N-{invoice.public_id[-8:]}",
        hosted_url="",
        pdf_url="",
        due_at=None,
        tried=False,
    )


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_whatever_happens_to_invoices_the_books_hold(seed, settings):
    settings.STRIPE_SECRET_KEY = ""
    history, done = History(seed), []
    for number in range(1, STEPS + 1):
        done.append(history.step())
        if number % CHECK_EVERY == 0:
            assert_books_balance()
    history.end_month()
    history.close()
    assert_books_balance()
    assert "close" in done
