"""A month end in a real browser: the invoice that a card pays; a declined one, the block, and paying that lifts it."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing import plans
from billing.invoices import billing_periods, dunning, dunning_plan, invoicing
from billing.models import BillingPeriod, DunningStep, Invoice
from tests import factories
from tests.billing.calls import Payer
from tests.billing.owing import DOLLAR, assert_books_balance, use
from tests.billing.stripe_world import give_card
from tests.journeys import browser
from tests.journeys.test_credit import (  # noqa: F401  fixtures are found by their names
    acme,
    aside,
    complaints,
    pay,
    session,
    signed_in,
    site,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def join(organization: Any) -> Payer:
    """Let an organization pay afterwards since the month before this one."""
    start = timezone.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    plans.switch(
        organization,
        plan="postpaid",
        reason="journey",
        actor=None,
        now=(start - timedelta(days=40)).replace(day=1),
    )
    key = factories.make_api_key(organization, name="prod-api").key
    return Payer(organization, key, factories.make_price())


def end_month(payer: Payer) -> Invoice:
    """Let the period that is open end, and close it; eager tasks push the invoice."""
    period = BillingPeriod.objects.get(organization=payer.organization, state="open")
    use(payer, 12 * DOLLAR, 34 * DOLLAR // 100, at=period.period_start + timedelta(days=1))
    now = period.period_end + timedelta(hours=2)
    billing_periods.roll_over(period, now=now)
    invoice = invoicing.close(period.pk, now=now)
    assert invoice is not None
    invoice.refresh_from_db()
    return invoice


def run_dunning(days: int) -> list[str]:
    now = DunningStep.objects.get(step="notice").due_at + timedelta(days=days)
    return [dunning.run(step, now=now) for step in dunning_plan.due(now)]


def test_month_end_to_paid_invoice_and_failed_payment_to_block_to_paid(
    site: str,  # noqa: F811
    acme: Any,  # noqa: F811
    session: str,  # noqa: F811
    fake_stripe: Any,
) -> None:
    payer = join(acme)
    give_card(fake_stripe, acme)
    first = end_month(payer)
    assert first.state == "paid"
    give_card(fake_stripe, acme, "pm_card_chargeCustomerFail")

    with browser.chromium() as chromium:
        alice = signed_in(chromium, site, session)
        page = alice.page
        page.get_by_role("link", name="Invoices").click()
        page.get_by_text("Current period so far").wait_for()
        page.get_by_role("link", name=first.number).click()
        page.get_by_text("By key and project").wait_for()
        page.get_by_role("link", name="Requests", exact=True).last.click()
        page.get_by_text("One line of an invoice").wait_for()

        second = aside(end_month, payer)
        assert second.state == "open"
        for days in (0, 3, 5, 7, 8):
            aside(run_dunning, days)
        alice.go("/dashboard/acme/invoices/")
        page.get_by_text("Calls are blocked").wait_for()
        page.get_by_role("link", name="Pay now").click()
        pay(page, "4242 4242 4242 4242")

        browser_waits_for_payment(alice, page)
        assert complaints(alice, site) == []
        alice.close()
    aside(assert_paid, acme)


def browser_waits_for_payment(alice: Any, page: Any) -> None:
    """Look at the list until Stripe's word has arrived."""
    for _ in range(browser.SECONDS * 2):
        alice.go("/dashboard/acme/invoices/")
        if not page.get_by_text("Calls are blocked").count():
            return
        page.wait_for_timeout(500)
    raise AssertionError("the payment did not unblock")


def assert_paid(organization: Any) -> None:
    assert plans.account(organization).blocked_at is None
    assert set(Invoice.objects.values_list("state", flat=True)) == {"paid"}
    assert_books_balance()
