"""An owner closes an organization in a browser: the key ends at once, the last invoice is paid, then it is gone."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.models import Organization
from billing import tasks
from billing.invoices import invoicing
from billing.models import BillingPeriod, Invoice
from tests import factories
from tests.billing.calls import Payer
from tests.billing.owing import (
    DOLLAR,
    assert_books_balance,
    month_day_in_mid_month,
    pay_afterwards,
    use,
)
from tests.billing.stripe_world import give_card
from tests.journeys import browser
from tests.journeys.test_credit import (  # noqa: F401  fixtures are found by their names
    acme,
    aside,
    complaints,
    session,
    signed_in,
    site,
)
from tests.pages.looking import violations

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def month_end(organization: Organization) -> Invoice:
    """Let the time to bill what was used until the end pass, and close it; eager tasks push the invoice."""
    [period] = BillingPeriod.objects.filter(organization=organization, state="closing")
    invoice = invoicing.close(period.pk, now=period.period_end + timedelta(hours=2))
    assert invoice is not None
    invoice.refresh_from_db()
    return invoice


def test_owner_closes_the_organization_and_its_last_invoice_is_paid(
    site: str,  # noqa: F811
    acme: Any,  # noqa: F811
    session: str,  # noqa: F811
    fake_stripe: Any,
) -> None:
    made = factories.make_api_key(acme, name="prod-api")
    acme.month_day = month_day_in_mid_month()
    acme.save()
    pay_afterwards(acme, since=timezone.now() - timedelta(days=3))
    payer = Payer(acme, made.key, factories.make_price())
    use(payer, 12 * DOLLAR, at=timezone.now() - timedelta(days=1))
    give_card(fake_stripe, acme)

    with browser.chromium() as chromium:
        alice = signed_in(chromium, site, session)
        page = alice.page
        assert status(site, made.secret) == 200
        alice.go("/dashboard/acme/settings/")
        page.get_by_role("heading", level=1).wait_for()
        assert violations(page) == []
        alice.go("/dashboard/acme/billing/settings/")
        page.get_by_role("link", name="Close the organization").wait_for()
        assert violations(page) == []
        page.get_by_role("link", name="Close the organization").click()
        page.get_by_text("What happens").wait_for()
        assert violations(page) == []

        page.get_by_label("Type the organization's name to confirm").fill("Acne")
        page.get_by_role("button", name="Close the organization").click()
        page.get_by_text("That is not “Acme”.").wait_for()
        assert violations(page) == []
        alice.complaints.clear()  # that the form was refused
        assert status(site, made.secret) == 200
        page.get_by_label("Type the organization's name to confirm").fill("Acme")
        page.get_by_role("button", name="Close the organization").click()
        page.get_by_text("This organization is ending").wait_for()
        expect(page.get_by_text("Still open")).to_be_visible()
        assert violations(page) == []
        assert status(site, made.secret) == 401

        aside(tasks.look_after_endings)  # not yet: something is owed
        alice.go("/dashboard/acme/billing/close/")
        page.get_by_text("Still open").wait_for()
        invoice = aside(month_end, acme)
        assert (invoice.state, invoice.net_cents) == ("paid", 1_200)
        page.reload()
        page.get_by_text("Nothing is open. The organization ends within the hour.").wait_for()
        assert violations(page) == []
        assert complaints(alice, site) == []

        aside(tasks.look_after_endings)
        answer = page.goto(f"{site}/dashboard/acme/billing/close/")
        assert answer is not None
        assert answer.status == 404
        alice.close()
    aside(assert_gone, acme.pk)


def status(site: str, secret: str) -> int:  # noqa: F811
    """Return what a call of the key is answered with."""
    headers = {"authorization": f"Bearer {secret}"}
    return httpx.get(f"{site}/v1/key", headers=headers, timeout=browser.SECONDS).status_code


def assert_gone(organization_id: int) -> None:
    gone = Organization.objects.get(pk=organization_id)
    assert "Acme" not in gone.name
    assert not gone.memberships.exists()
    assert set(gone.api_keys.values_list("name", flat=True)) == {"Closed key"}
    assert_books_balance()
