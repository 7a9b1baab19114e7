"""Buying credit, against the stand-in by Stripe's own client: credited once, whatever happens on the way."""

import threading

import pytest
from django.db import connection
from django.utils import timezone

from billing import stripe_client, wallet
from billing.models import LedgerTransfer, StripeCustomer, TopUp
from billing.payments import topups
from billing.tasks import apply_stripe_events, poll_stripe
from exerati.lib.money import NANOUSD_PER_CENT
from tests import factories
from tests.billing.payments import (
    ASKING,
    BANK,
    DECLINING,
    FAILING_BANK,
    USD,
    assert_credit_is_sound,
    begin,
    buy,
    hear,
    pay,
)
from tests.fake_stripe.server import FakeStripe

pytestmark = pytest.mark.django_db


def state(topup):
    topup.refresh_from_db()
    return topup.state


def test_paid_credit_enters_wallet_ledger_and_lot_once(acme, alice, fake_stripe):
    topup = begin(acme)
    assert (topup.state, wallet.balance_nanousd(acme)) == ("pending", 0)
    pay(fake_stripe, topup)

    topup = topups.follow(topup.pk)

    assert topup.state == "credited"
    assert topup.payment_intent_id.startswith("pi_")
    assert topup.receipt_url.startswith(fake_stripe.url)
    assert wallet.balance_nanousd(acme) == 20 * USD
    transfer = LedgerTransfer.objects.get()
    assert (transfer.kind, transfer.debit_account.kind) == ("topup", "stripe_clearing")
    assert acme.audit_events.filter(action="wallet.topped_up").count() == 1
    assert_credit_is_sound()


def test_receipts_go_to_the_owner(acme, alice, fake_stripe):
    buy(fake_stripe, acme)

    [customer] = fake_stripe.objects("customer")
    assert (customer["email"], customer["name"]) == (alice.email, "Acme")
    assert customer["metadata"] == {"organization": acme.public_id}
    [intent] = fake_stripe.objects("payment_intent")
    assert intent["receipt_email"] == alice.email


def test_a_declined_card_credits_nothing_and_may_be_tried_again(acme, fake_stripe):
    topup = begin(acme)
    with pytest.raises(AssertionError):
        pay(fake_stripe, topup, DECLINING)

    topup = topups.follow(topup.pk)
    assert (topup.state, topup.failure) == ("pending", "Your card was declined.")
    assert topup.pay_url.startswith(fake_stripe.url)

    pay(fake_stripe, topup)
    topup = topups.follow(topup.pk)
    assert (topup.state, topup.failure, topup.pay_url) == ("credited", "", "")


def test_authentication_required_waits_for_the_payer(acme, fake_stripe):
    topup = begin(acme)
    pay(fake_stripe, topup, ASKING, authenticated=False)
    assert topups.follow(topup.pk).state == "pending"

    pay(fake_stripe, topup, ASKING, authenticated=True)

    assert topups.follow(topup.pk).state == "credited"


def test_an_abandoned_page_expires(acme, fake_stripe):
    topup = begin(acme)
    fake_stripe.tell("clock", seconds=25 * 3600)

    assert topups.follow(topup.pk).state == "expired"
    assert wallet.balance_nanousd(acme) == 0


def test_a_bank_payment_is_credited_when_it_arrives(acme, fake_stripe):
    topup = begin(acme)
    pay(fake_stripe, topup, BANK)
    hear(fake_stripe)
    assert state(topup) == "pending"

    [intent] = fake_stripe.objects("payment_intent")
    fake_stripe.tell("end_bank", payment_intent=intent["id"])
    hear(fake_stripe)

    assert state(topup) == "credited"


def test_a_bank_payment_that_fails_days_later_credits_nothing(acme, fake_stripe):
    topup = begin(acme)
    pay(fake_stripe, topup, FAILING_BANK)
    [intent] = fake_stripe.objects("payment_intent")
    fake_stripe.tell("end_bank", payment_intent=intent["id"])
    hear(fake_stripe)

    topup.refresh_from_db()
    assert (topup.state, topup.failure) == ("failed", "Your card has insufficient funds.")
    assert wallet.balance_nanousd(acme) == 0


@pytest.mark.django_db(transaction=True)
def test_webhook_success_page_and_poller_at_once_credit_once(fake_stripe):
    organization = factories.make_organization()
    topup = begin(organization)
    pay(fake_stripe, topup)
    followers = [
        lambda: topups.follow(topup.pk),
        lambda: topups.follow_checkout(topup.checkout_id),
        poll_stripe,
        apply_stripe_events,
        lambda: hear(fake_stripe),
    ]

    def run(follow):
        follow()
        connection.close()

    threads = [threading.Thread(target=run, args=[follow]) for follow in followers * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert state(topup) == "credited"
    assert wallet.balance_nanousd(organization) == 20 * USD
    assert LedgerTransfer.objects.count() == organization.credit_lots.count() == 1


MISMATCHES = {
    "another customer": {"customer": "cus_of_another"},
    "another top-up": {"client_reference_id": "00000000-0000-0000-0000-000000000000"},
    "less than was ordered": {"amount_subtotal": 1_999},
    "more than was ordered": {"amount_subtotal": 2_001},
    "another currency": {"currency": "jpy"},
}


@pytest.mark.parametrize("what", MISMATCHES)
def test_someone_edits_in_the_dashboard_and_nothing_is_credited(acme, fake_stripe, what):
    topup = begin(acme)
    pay(fake_stripe, topup)
    fake_stripe.tell("edit", kind="checkout.session", id=topup.checkout_id, values=MISMATCHES[what])

    with pytest.raises(topups.Mismatch):
        topups.follow(topup.pk)
    hear(fake_stripe)

    assert state(topup) == "pending"
    assert wallet.balance_nanousd(acme) == 0
    assert not LedgerTransfer.objects.exists()


def test_another_organizations_webhook_moves_nobodys_money(acme, globex, fake_stripe):
    ours, theirs = begin(acme), begin(globex, cents=5_000)
    pay(fake_stripe, theirs)
    values = {"client_reference_id": str(ours.pk)}
    fake_stripe.tell("edit", kind="checkout.session", id=theirs.checkout_id, values=values)
    hear(fake_stripe)

    assert (wallet.balance_nanousd(acme), wallet.balance_nanousd(globex)) == (0, 0)


def test_tax_comes_on_top_and_never_enters_the_wallet(acme, fake_stripe, settings):
    settings.STRIPE_TAX = True
    begin(acme)
    customer = StripeCustomer.objects.get(organization=acme).stripe_id
    address = {"country": "DE", "line1": None, "line2": None, "city": None}
    fake_stripe.tell("edit", kind="customer", id=customer, values={"address": address})

    topup = buy(fake_stripe, acme)

    assert (topup.net_cents, topup.tax_cents) == (2_000, 380)
    assert wallet.balance_nanousd(acme) == 20 * USD
    [tax] = LedgerTransfer.objects.filter(credit_account__kind="tax_payable")
    assert tax.amount_nanousd == 380 * NANOUSD_PER_CENT


@pytest.mark.parametrize("cents", [499, 1_000_001, 0, -500])
def test_amounts_outside_the_limits_are_refused(acme, fake_stripe, cents):
    with pytest.raises(topups.AmountNotAllowed) as caught:
        begin(acme, cents=cents)

    assert (caught.value.least, caught.value.most) == (500, 1_000_000)
    assert not TopUp.objects.exists()
    assert fake_stripe.objects("customer") == []


def test_without_a_key_nothing_is_sold(acme, settings):
    settings.STRIPE_SECRET_KEY = ""

    with pytest.raises(stripe_client.PaymentsOff):
        begin(acme)

    assert not TopUp.objects.exists()


def test_customer_deleted_at_stripe_is_made_anew_and_the_old_one_stays_known(acme, fake_stripe):
    buy(fake_stripe, acme)
    old = StripeCustomer.objects.get(organization=acme)
    fake_stripe.client().v1.customers.delete(old.stripe_id)

    topup = buy(fake_stripe, acme)

    old.refresh_from_db()
    new = StripeCustomer.objects.get(organization=acme, replaced_at=None)
    assert old.replaced_at is not None
    assert (new.generation, topup.customer_id) == (2, new.stripe_id)
    assert new.stripe_id != old.stripe_id
    assert wallet.balance_nanousd(acme) == 40 * USD


def test_customer_deleted_between_the_look_and_the_page(acme, fake_stripe):
    buy(fake_stripe, acme)
    fake_stripe.fault("POST /v1/checkout/sessions", "slow", seconds=0.0)  # the look is over by then
    old = StripeCustomer.objects.get(organization=acme)
    topup = TopUp.objects.create(organization=acme, net_cents=2_000)
    fake_stripe.tell("edit", kind="customer", id=old.stripe_id, values={"deleted": True})

    page = topups._open_page(
        topup, success_url="https://x.test", cancel_url="https://x.test", keep_card=False
    )

    assert page.customer_id != old.stripe_id
    assert page.reference == str(topup.pk)


# Killed between "created at Stripe" and "recorded"


class Killed(BaseException):
    """What a process that is killed would have done next is not done."""


@pytest.fixture
def killed_after(monkeypatch):
    """Return a function that lets the process die right after one call to Stripe has done its work."""

    def kill(name):
        real = getattr(stripe_client, name)

        def die(*arguments, **named):
            real(*arguments, **named)
            raise Killed

        monkeypatch.setattr(stripe_client, name, die)
        return lambda: monkeypatch.setattr(stripe_client, name, real)

    return kill


@pytest.mark.parametrize("keys", ["alive", "expired"])
def test_crash_between_created_at_stripe_and_recorded_makes_no_second_customer(
    acme, fake_stripe, killed_after, keys
):
    revive = killed_after("make_customer")
    with pytest.raises(Killed):
        begin(acme)
    revive()
    if keys == "expired":
        fake_stripe.tell("expire_keys")

    topup = buy(fake_stripe, acme)

    assert len(fake_stripe.objects("customer")) == 1
    assert topup.state == "credited"


@pytest.mark.parametrize("keys", ["alive", "expired"])
def test_crash_between_created_at_stripe_and_recorded_costs_nothing(
    acme, fake_stripe, killed_after, keys
):
    revive = killed_after("make_checkout")
    with pytest.raises(Killed):
        begin(acme)
    revive()
    if keys == "expired":
        fake_stripe.tell("expire_keys")
    lost = TopUp.objects.get()
    assert (lost.state, lost.checkout_id) == ("created", "")

    topup = buy(fake_stripe, acme)

    assert topup.state == "credited"
    assert wallet.balance_nanousd(acme) == 20 * USD


def test_a_page_we_never_wrote_down_is_credited_all_the_same(acme, fake_stripe, killed_after):
    killed_after("make_checkout")
    with pytest.raises(Killed):
        begin(acme)
    [session] = fake_stripe.objects("checkout.session")
    fake_stripe.tell("pay_session", session=session["id"], card="pm_card_visa")

    hear(fake_stripe)

    assert TopUp.objects.get().state == "credited"
    assert wallet.balance_nanousd(acme) == 20 * USD


@pytest.mark.parametrize("kind", ["cut_after", "cut_before"])
def test_a_connection_that_breaks_is_tried_again_under_the_same_key(acme, fake_stripe, kind):
    fake_stripe.fault("POST /v1/checkout/sessions", kind)

    topup = buy(fake_stripe, acme)

    assert topup.state == "credited"
    assert len(fake_stripe.objects("checkout.session")) == 1


def test_cached_failure_under_a_key_does_not_stay(acme, fake_stripe):
    fake_stripe.fault("POST /v1/checkout/sessions", "status", status=500, stored=True)
    with pytest.raises(stripe_client.StripeAway):
        begin(acme)
    assert TopUp.objects.get().state == "created"

    topup = buy(fake_stripe, acme)

    assert topup.state == "credited"
    assert wallet.balance_nanousd(acme) == 20 * USD


def test_pages_that_nobody_got_to_know_are_given_up(acme, fake_stripe):
    fake_stripe.fault("POST /v1/checkout/sessions", "status", status=500, stored=True)
    with pytest.raises(stripe_client.StripeAway):
        begin(acme)
    lost = TopUp.objects.get()

    assert topups.give_up(timezone.now()) == 0
    assert topups.give_up(timezone.now() + topups.PAGE_LIFE) == 1
    assert state(lost) == "failed"


def test_money_that_comes_after_we_gave_up_is_credited(acme, fake_stripe):
    topup = begin(acme)
    topups.end(topup, TopUp.State.EXPIRED)
    pay(fake_stripe, topup)

    hear(fake_stripe)

    assert state(topup) == "credited"


def test_key_from_a_serial_id_is_never_used(acme, alice, fake_stripe):
    """A table that is made anew would count from 1 again, under keys that Stripe still knows."""
    topup = buy(fake_stripe, acme)

    keys = {call["idempotency_key"] for call in fake_stripe.tell("dump")["calls"]} - {None}
    assert keys == {f"customer:{acme.public_id}:g1", f"topup:{topup.pk}:g1"}


def test_the_stand_in_keeps_to_stripes_document(fake_stripe: FakeStripe, acme):
    buy(fake_stripe, acme)

    assert fake_stripe.tell("dump")["drift"] == []
