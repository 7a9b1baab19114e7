"""Buying credit in a real browser: cards that pay, decline and ask; automatic top-up; refund; disputes lost and won."""

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connections
from django.test import Client
from playwright.sync_api import Page, expect

from billing import lots, wallet
from billing.tasks import fill_wallets
from exerati.lib import money
from tests import factories
from tests.billing.payments import assert_credit_is_sound, use
from tests.journeys import browser
from tests.journeys.browser import Visitor, tab_to

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

USD = money.NANOUSD_PER_USD
GOOD, DECLINING, ASKING = "4242 4242 4242 4242", "4000 0000 0000 0002", "4000 0027 6000 3184"
SECONDS = 60


@pytest.fixture
def acme(transactional_db: None) -> Any:
    """Alice's organization, without any credit."""
    return factories.make_organization("Acme", owner=factories.make_user("alice@acme.example"))


@pytest.fixture
def site(start_servers: Any, fake_stripe: Any, acme: Any) -> str:
    """The address of a site that takes payments, and that Stripe tells of them."""
    [server] = start_servers(
        1,
        STRIPE_SECRET_KEY=settings.STRIPE_SECRET_KEY,
        STRIPE_WEBHOOK_SECRET=settings.STRIPE_WEBHOOK_SECRET,
        STRIPE_API_BASE=settings.STRIPE_API_BASE,
    )
    address = f"http://127.0.0.1:{server.port}"
    fake_stripe.tell(
        "listen", url=f"{address}/stripe/webhook", secret=settings.STRIPE_WEBHOOK_SECRET
    )
    return address


@pytest.fixture
def session(acme: Any) -> str:
    """The cookie of alice's session."""
    client = Client()
    assert client.login(email="alice@acme.example", password=factories.PASSWORD)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def aside(do: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Do what asks the database in a thread: Playwright has a loop in this one, in which Django refuses to wait."""

    def run() -> Any:
        try:
            return do(*arguments, **named)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run).result()


def signed_in(chromium: Any, site: str, session: str, **options: Any) -> Visitor:
    """Return alice's browser."""
    found = Visitor(chromium, site_url=site, mail_folder=Path(), **options)
    found.page.context.add_cookies(
        [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": site}]
    )
    found.go("/dashboard/acme/billing/")
    return found


def buy(page: Page, amount: str, *, card: str = GOOD, keep: bool = False) -> None:
    """Go from the billing page to Stripe's, and pay there."""
    page.get_by_label("Other amount").fill(amount)
    if keep:
        page.get_by_label("Keep the card").check()
    page.get_by_role("button", name="Continue to payment").click()
    pay(page, card)


def buy_by_keyboard(page: Page, amount: str) -> None:
    """Do what `buy` does without a mouse."""
    tab_to(page, "Other amount")
    page.keyboard.type(amount)
    tab_to(page, "Continue to payment")
    page.keyboard.press("Enter")
    page.get_by_label("Card number").wait_for()
    tab_to(page, "Card number")
    page.keyboard.press("Control+a")
    page.keyboard.type(GOOD)
    tab_to(page, "Pay")
    page.keyboard.press("Enter")


def pay(page: Page, card: str) -> None:
    page.get_by_label("Card number").fill(card)
    page.get_by_role("button", name="Pay", exact=True).click()


def credited(page: Page) -> None:
    """Wait for the page that says so, and go back to the billing page."""
    page.get_by_text("The credit is in your wallet").wait_for()
    page.get_by_role("link", name="Billing").first.click()
    page.get_by_role("heading", name="Billing", level=1).wait_for()


def balance(page: Page) -> str:
    stat = page.locator(".stat").filter(has_text="Balance").locator(".stat-value")
    return stat.inner_text().strip()


def wait_for_balance(page: Page, wanted: str) -> None:
    """Wait until Stripe's word has arrived."""
    deadline = time.monotonic() + SECONDS
    while balance(page) != wanted:
        assert time.monotonic() < deadline, balance(page)
        time.sleep(0.2)
        page.reload()


def complaints(visitor: Visitor, site: str) -> list[str]:
    """Return what the browser complained of on our pages; Stripe's declines with 402 are none of ours."""
    return [text for text in visitor.complaints if text.startswith(site)]


def test_credit_is_bought_with_cards_that_pay_decline_and_ask(site, acme, session, fake_stripe):
    with browser.chromium() as chromium:
        alice = signed_in(chromium, site, session)
        page = alice.page
        expect(page.get_by_text("No credit is available")).to_be_visible()
        expect(page.get_by_text("No real money moves")).to_be_visible()
        buy_by_keyboard(page, "25")
        credited(page)
        assert balance(page) == "$25.00"

        buy(page, "10", card=DECLINING)
        expect(page.get_by_role("alert")).to_contain_text("Your card was declined.")
        pay(page, GOOD)
        credited(page)
        assert balance(page) == "$35.00"

        buy(page, "$1,000.50", card=ASKING)
        page.get_by_role("button", name="Confirm").click()
        credited(page)
        assert balance(page) == "$1,035.50"

        page.get_by_role("button", name="Cards, address, tax id").first.click()
        page.get_by_role("heading", name="Payment methods").wait_for()
        page.get_by_role("link", name="Return").click()

        page.get_by_role("link", name="Ledger").first.click()
        rows = page.get_by_role("row").filter(has_text="Top-up")
        expect(rows).to_have_count(3)
        expect(rows.first).to_contain_text("$1,035.50")
        assert complaints(alice, site) == []
        alice.close()
    assert_credit_is_sound()
    assert wallet.balance_nanousd(acme) == 1_035_500_000_000


def test_credit_is_bought_without_javascript(site, acme, session):
    with browser.chromium() as chromium:
        alice = signed_in(chromium, site, session, javascript=False)
        page = alice.page
        page.locator(".amount", has_text=re.compile(r"^\s*\$100\s*$")).locator("input").check()
        page.get_by_role("button", name="Continue to payment").click()
        pay(page, GOOD)
        credited(page)

        assert balance(page) == "$100.00"
        assert complaints(alice, site) == []
        alice.close()


def test_wallet_fills_itself_once_it_was_agreed_to(site, acme, session):
    with browser.chromium() as chromium:
        alice = signed_in(chromium, site, session)
        page = alice.page
        buy(page, "5", keep=True)
        credited(page)
        page.get_by_role("link", name="Automatic top-up").click()
        page.get_by_role("button", name="Switch automatic top-up on").click()
        page.get_by_label("I allow Exerati").check()
        page.get_by_role("button", name="Switch automatic top-up on").click()
        page.get_by_text("Automatic top-up is on.").wait_for()
        expect(page.locator(".consent")).to_contain_text("at most $100.00 in a calendar month")

        aside(use, acme, 2 * USD)
        aside(fill_wallets)

        alice.go("/dashboard/acme/billing/")
        assert balance(page) == "$25.00"
        expect(page.get_by_role("row").filter(has_text="automatic")).to_contain_text("$22.00")
        alice.close()
    assert_credit_is_sound()


def test_refund_then_a_dispute_that_is_lost_and_one_that_is_won(site, acme, session, fake_stripe):
    with browser.chromium() as chromium:
        alice = signed_in(chromium, site, session)
        page = alice.page
        for amount in ("20", "30", "40"):
            buy(page, amount)
            credited(page)
        aside(use, acme, 5 * USD)
        aside(lots.draw, acme.pk)
        page.reload()
        page.get_by_role("row").filter(has_text="$20.00").get_by_role("link", name="Refund").click()
        expect(page.get_by_label("Amount, in US dollars")).to_have_value("15.00")
        page.get_by_label("Why").fill("not needed")
        page.get_by_role("button", name="Refund this credit").click()
        page.get_by_text("$15 is on its way back to the card").wait_for()
        expect(page.get_by_role("cell", name="Sent back")).to_be_visible()
        alice.go("/dashboard/acme/billing/")
        assert balance(page) == "$70.00"

        won, lost = (aside(dispute, fake_stripe, acme, cents) for cents in (3_000, 4_000))
        wait_for_balance(page, "$0.00")
        expect(page.get_by_text("Disputed", exact=True).first).to_be_visible()
        fake_stripe.tell("end_dispute", dispute=won["id"], won=True)
        fake_stripe.tell("end_dispute", dispute=lost["id"], won=False)
        wait_for_balance(page, "$30.00")
        page.reload()
        expect(page.get_by_text("Lost to a dispute")).to_be_visible()
        expect(page.get_by_text("Disputed", exact=True)).to_have_count(0)

        alice.go("/dashboard/acme/billing/ledger/?kind=dispute")
        expect(page.get_by_role("row").filter(has_text="Dispute won")).to_contain_text("+$30.00")
        assert complaints(alice, site) == []
        alice.close()
    assert_credit_is_sound()


def dispute(fake_stripe: Any, organization: Any, cents: int) -> Any:
    """Let the payer's bank take one payment back."""
    topup = organization.topups.get(net_cents=cents)
    intent = fake_stripe.client().v1.payment_intents.retrieve(topup.payment_intent_id)
    return fake_stripe.tell("dispute", charge=intent.latest_charge)
