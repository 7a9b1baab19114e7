"""Buying, using and following, as tests of payments do it again and again."""

from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from accounts.models import Organization
from billing import ledger, stripe_events
from billing.ledger import Kind
from billing.models import LedgerTransfer, StripeEvent, TopUp
from billing.payments import topups
from billing.verification.verify_credit import INVARIANTS
from exerati.lib import ids, money
from tests.fake_stripe.server import FakeStripe

USD = money.NANOUSD_PER_USD
GOOD, DECLINING, ASKING = "pm_card_visa", "pm_card_chargeDeclined", "pm_card_authenticationRequired"
BANK, FAILING_BANK = "pm_usBankAccount_success", "pm_usBankAccount_insufficientFunds"


def begin(organization: Organization, *, cents: int = 2_000, **options: Any) -> TopUp:
    """Begin a top-up and return it, waiting to be paid."""
    topup, url = topups.begin(
        organization,
        cents=cents,
        actor=None,
        page_url=lambda uuid: f"https://exerati.test/{uuid}",
        back_url="https://exerati.test/back",
        **options,
    )
    assert url.startswith(settings.STRIPE_API_BASE)
    return topup


def pay(fake: FakeStripe, topup: TopUp, card: str = GOOD, **options: Any) -> Any:
    """Pay a top-up on Stripe's page; nobody of ours is told yet."""
    return fake.tell("pay_session", session=topup.checkout_id, card=card, **options)


def buy(
    fake: FakeStripe, organization: Organization, *, cents: int = 2_000, **options: Any
) -> TopUp:
    """Buy credit; return the top-up, credited."""
    topup = begin(organization, cents=cents, **options)
    pay(fake, topup)
    return topups.follow(topup.pk)


def hear(fake: FakeStripe) -> None:
    """Let every event of Stripe's reach us, and apply it."""
    stripe_events.poll(timezone.now())
    for event in StripeEvent.objects.filter(applied_at=None).order_by("happened_at", "pk"):
        stripe_events.apply(event.pk)


def use(organization: Organization, nanousd: int) -> None:
    """Let calls take so much from a wallet, as settlement posts it; below zero: a late settlement gives back."""
    ledger.lock_wallet(organization.pk)
    wallet_account = ledger.account(organization, Kind.WALLET)
    revenue = ledger.account(organization, Kind.REVENUE)
    debit, credit = (wallet_account, revenue) if nanousd > 0 else (revenue, wallet_account)
    LedgerTransfer.objects.create(
        idempotency_key=f"request:{ids.new_uuid()}",
        kind="usage" if nanousd > 0 else "trueup",
        organization=organization,
        debit_account=debit,
        credit_account=credit,
        amount_nanousd=abs(nanousd),
        created_at=timezone.now(),
    )
    counter = ledger.wallets(organization.pk).get()
    counter.posted_nanousd += nanousd
    counter.save()


def assert_credit_is_sound(*, without: tuple[str, ...] = ()) -> None:
    """Check the invariants of credit, within the transaction of the test."""
    with connection.cursor() as cursor:
        for invariant in INVARIANTS:
            cursor.execute(invariant.broken)
            assert cursor.fetchall() == [] or invariant.name in without, invariant.name
