"""Automatic top-ups: within what was agreed, one at a time, once, and off when the card says no."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from billing import ledger, lots, stripe_client, wallet
from billing.models import AutoTopUp, BillingAccount, Notification, StripeCustomer, TopUp
from billing.payments import auto_topups, disputes, stripe_payments, topups
from billing.payments.auto_topups import Wish
from billing.tasks import fill_wallets, poll_stripe
from tests import factories
from tests.billing.payments import ASKING, USD, assert_credit_is_sound, buy, hear, use

pytestmark = pytest.mark.django_db
WISH = Wish(threshold_cents=500, target_cents=2_500, ceiling_cents=10_000)


def switch_on(fake, organization, **changes):
    """Buy $5 with a card that is kept, use it all but $1, and switch automatic top-up on."""
    buy(fake, organization, cents=500, keep_card=True)
    use(organization, 4 * USD)
    lots.draw(organization.pk)
    owner = organization.memberships.get(role="owner").user
    values = {**vars_of(WISH), **changes}
    return auto_topups.switch_on(organization, wish=Wish(**values), actor=owner)


def vars_of(wish):
    return {
        name: getattr(wish, name) for name in ("threshold_cents", "target_cents", "ceiling_cents")
    }


@pytest.fixture
def plan(acme, fake_stripe):
    """Acme with $1 left, a saved card, and automatic top-up from $5 to $25."""
    return switch_on(fake_stripe, acme)


def card(fake, organization, token):
    """Let an organization pay with another card from now on."""
    customer = StripeCustomer.objects.get(organization=organization, replaced_at=None).stripe_id
    client = fake.client()
    method = client.v1.payment_methods.attach(token, {"customer": customer})
    client.v1.customers.update(
        customer, {"invoice_settings": {"default_payment_method": method.id}}
    )


def automatic():
    return TopUp.objects.filter(way="automatic").order_by("created_at")


def balance(organization):
    return wallet.balance_nanousd(organization) / USD


def test_wallet_below_the_threshold_is_filled_to_the_target(acme, plan, fake_stripe):
    for _ in range(3):
        fill_wallets()

    topup = automatic().get()
    assert (topup.state, topup.net_cents) == ("credited", 2_400)
    assert balance(acme) == 25
    assert topup.receipt_url
    assert_credit_is_sound()


def test_the_ledger_tells_it_apart_from_one_by_hand(acme, plan, alice_client):
    fill_wallets()

    page = alice_client.get(reverse("dashboard:ledger", args=["acme"]))
    table = b"".join(
        alice_client.get(reverse("dashboard:ledger_csv", args=["acme"])).streaming_content
    )

    named = [line.words for line in page.context["lines"] if line.kind == "topup"]
    assert named == ["Automatic top-up", "Top-up"]
    assert table.count(b",topup,Credit bought by automatic top-up,") == 1
    assert table.count(b",topup,Credit bought,") == 1


def test_wallet_above_the_threshold_is_left_alone(acme, plan, fake_stripe):
    factories.make_credit(acme, usd="4")

    fill_wallets()

    assert not automatic().exists()


def test_what_calls_hold_counts_as_used(acme, plan):
    factories.make_credit(acme, usd="10")
    assert auto_topups.due(timezone.now()) == []
    ledger.wallets(acme.pk).update(held_nanousd=8 * USD)

    assert auto_topups.due(timezone.now()) == [acme.pk]


@pytest.mark.parametrize("why", ["off", "postpaid", "resting"])
def test_wallets_that_are_not_to_be_filled(acme, plan, why):
    if why == "off":
        auto_topups.switch_off(acme, actor=None)
    elif why == "postpaid":
        BillingAccount.objects.update_or_create(organization=acme, defaults={"plan": "postpaid"})
    else:
        AutoTopUp.objects.update(not_before=timezone.now() + timedelta(minutes=1))

    fill_wallets()

    assert not automatic().exists()


def test_a_small_gap_is_filled_by_the_least_that_can_be_paid(acme, fake_stripe):
    switch_on(fake_stripe, acme, threshold_cents=200, target_cents=700)
    factories.make_credit(acme, usd="0.90")

    fill_wallets()

    assert automatic().get().net_cents == 510


def test_monthly_ceiling_is_never_passed_and_is_told_once(acme, fake_stripe):
    switch_on(fake_stripe, acme, ceiling_cents=3_000)
    fill_wallets()
    use(acme, 23 * USD)
    fill_wallets()
    use(acme, 5 * USD)
    for _ in range(3):
        fill_wallets()

    assert [topup.net_cents for topup in automatic()] == [2_400, 600]
    told = [n for n in Notification.objects.all() if n.details.get("what") == "ceiling"]
    assert len(told) == 1


def test_a_new_month_has_a_new_ceiling(acme, fake_stripe):
    switch_on(fake_stripe, acme, ceiling_cents=2_400)
    fill_wallets()
    automatic().update(created_at=timezone.now() - timedelta(days=40))
    use(acme, 24 * USD)

    fill_wallets()

    assert automatic().count() == 2


# Declines


def test_payment_failed_rests_an_hour_and_is_off_after_three_with_a_mail_each(
    acme, plan, fake_stripe, django_capture_on_commit_callbacks
):
    card(fake_stripe, acme, "pm_card_chargeCustomerFail")
    for number in (1, 2, 3):
        with django_capture_on_commit_callbacks(execute=True):
            fill_wallets()
            fill_wallets()
        plan.refresh_from_db()
        assert plan.declines == automatic().count() == number
        assert plan.not_before > timezone.now() + timedelta(minutes=59)
        AutoTopUp.objects.update(not_before=timezone.now())
    fill_wallets()

    assert plan.is_on is False
    assert "failed 3 times in a row" in plan.off_reason
    assert automatic().count() == 3
    assert {topup.state for topup in automatic()} == {"failed"}
    assert balance(acme) == 1
    assert len(mail.outbox) == 3
    assert "Automatic top-up is off now" in mail.outbox[-1].body
    assert "/dashboard/acme/billing/" in mail.outbox[-1].body


def test_a_payment_that_succeeds_forgets_the_declines(acme, plan, fake_stripe):
    card(fake_stripe, acme, "pm_card_chargeCustomerFail")
    fill_wallets()
    AutoTopUp.objects.update(not_before=None)
    card(fake_stripe, acme, "pm_card_mastercard")

    fill_wallets()

    plan.refresh_from_db()
    assert (plan.declines, plan.not_before, plan.is_on) == (0, None, True)
    assert balance(acme) == 25


def test_authentication_required_asks_a_person_and_never_tries_blindly(acme, plan, fake_stripe):
    card(fake_stripe, acme, ASKING)

    for _ in range(3):
        fill_wallets()

    topup = automatic().get()
    assert topup.state == "failed"
    assert "requires authentication" in topup.failure
    [notice] = Notification.objects.all()
    assert notice.details["what"] == "topup_failed"


def test_no_saved_card_any_more_counts_as_a_decline(acme, plan, fake_stripe):
    [method] = fake_stripe.objects("payment_method")
    fake_stripe.client().v1.payment_methods.detach(method["id"])

    fill_wallets()

    assert automatic().get().failure == "No card is saved any more."


def test_customer_deleted_at_stripe_stops_it_without_charging(acme, plan, fake_stripe):
    customer = StripeCustomer.objects.get(organization=acme).stripe_id
    fake_stripe.client().v1.customers.delete(customer)

    fill_wallets()

    assert automatic().get().failure == "No card is saved any more."
    assert len(fake_stripe.objects("charge")) == 1  # the first, by hand


# Once


@pytest.mark.django_db(transaction=True)
def test_two_beats_at_once_charge_once(fake_stripe):
    organization = factories.make_organization()
    switch_on(fake_stripe, organization)

    def run():
        fill_wallets()
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert automatic().count() == 1
    assert balance(organization) == 25
    assert len(fake_stripe.objects("charge")) == 2


def die_behind_the_charge(monkeypatch):
    """Fill the wallets in a process that is killed when the card is charged and nothing of it is stored here."""
    real = stripe_payments.charge

    def die(**named: Any) -> None:
        real(**named)
        raise KeyboardInterrupt  # a process that is killed does nothing more

    with monkeypatch.context() as patch:
        patch.setattr(stripe_payments, "charge", die)
        with pytest.raises(KeyboardInterrupt):
            fill_wallets()


@pytest.mark.parametrize("keys", ["alive", "expired"])
@pytest.mark.parametrize("teller", ["poller", "webhook"])
def test_crash_between_created_at_stripe_and_recorded_charges_once(
    acme, plan, fake_stripe, monkeypatch, keys, teller
):
    die_behind_the_charge(monkeypatch)
    if keys == "expired":
        fake_stripe.tell("expire_keys")
    topup = automatic().get()
    assert (topup.state, topup.payment_intent_id) == ("created", "")
    TopUp.objects.filter(pk=topup.pk).update(created_at=timezone.now() - timedelta(minutes=1))

    fill_wallets()
    poll_stripe() if teller == "poller" else hear(fake_stripe)

    assert automatic().get().state == "credited"
    assert balance(acme) == 25
    assert len(fake_stripe.objects("charge")) == 2


def test_dispute_of_a_charge_that_was_not_written_down_takes_its_credit_back(
    acme, plan, fake_stripe, monkeypatch
):
    """The process died behind the charge, and what Stripe tells first is that the payer's bank wants it back."""
    die_behind_the_charge(monkeypatch)
    charge = fake_stripe.objects("charge")[-1]
    opened = fake_stripe.tell("dispute", charge=charge["id"])

    told = disputes.follow(opened["id"])

    assert told == "dispute needs_response"
    assert automatic().get().state == "credited"
    assert balance(acme) == 1  # $25 came and went


def test_cached_failure_under_a_key_is_left_behind_after_a_look(acme, plan, fake_stripe):
    fake_stripe.fault("POST /v1/payment_intents", "status", status=500, stored=True)
    fill_wallets()
    for _ in range(2):
        automatic().update(created_at=timezone.now() - timedelta(minutes=1))
        poll_stripe()

    topup = automatic().get()
    assert (topup.state, topup.generation) == ("credited", 2)
    assert len(fake_stripe.objects("charge")) == 2


def test_while_stripe_is_away_nothing_is_charged_twice(acme, plan, fake_stripe):
    fake_stripe.fault("POST /v1/payment_intents", "cut_after", times=1)
    fake_stripe.fault("GET /v1/payment_intents/*", "status", status=503, times=3)
    fill_wallets()
    automatic().update(created_at=timezone.now() - timedelta(minutes=1))
    fake_stripe.tell("clear_faults")

    poll_stripe()

    assert automatic().get().state == "credited"
    assert balance(acme) == 25
    assert len(fake_stripe.objects("charge")) == 2


def test_switching_on_wants_a_card_and_a_key(acme, alice, fake_stripe, settings):
    with pytest.raises(auto_topups.NoSavedCard):
        auto_topups.switch_on(acme, wish=WISH, actor=alice)
    settings.STRIPE_SECRET_KEY = ""
    with pytest.raises(stripe_client.PaymentsOff):
        auto_topups.switch_on(acme, wish=WISH, actor=alice)

    assert not AutoTopUp.objects.exists()
    assert topups.undecided(timezone.now()) == []


# Under Stripe Tax


@pytest.fixture
def taxed(acme, fake_stripe, settings):
    """Acme in Germany, with a card, and Stripe Tax switched on."""
    buy(fake_stripe, acme, cents=500, keep_card=True)
    use(acme, 4 * USD)
    lots.draw(acme.pk)
    settings.STRIPE_TAX = True
    customer = StripeCustomer.objects.get(organization=acme).stripe_id
    fake_stripe.client().v1.customers.update(customer, {"address": {"country": "DE"}})
    return acme.memberships.get(role="owner").user


def test_tax_comes_on_top_and_never_enters_the_wallet(acme, taxed, fake_stripe):
    plan = auto_topups.switch_on(acme, wish=WISH, actor=taxed)
    assert auto_topups.TAX_WORDS in plan.consent_text

    topup = auto_topups.fill(acme.pk, now=timezone.now())

    assert topup
    assert (topup.state, topup.net_cents, topup.tax_cents) == ("credited", 2_400, 456)
    assert balance(acme) == 25
    paid = fake_stripe.objects("payment_intent")[-1]
    assert paid["amount"] == paid["amount_received"] == 2_856
    assert paid["hooks"]["inputs"]["tax"]["calculation"] == topup.tax_calculation
    assert_credit_is_sound()


def test_tax_is_worked_out_once_though_the_charge_is_cut(acme, taxed, fake_stripe):
    auto_topups.switch_on(acme, wish=WISH, actor=taxed)
    fake_stripe.fault("POST /v1/payment_intents", "status", status=500, times=3)
    with pytest.raises(stripe_client.StripeAway):
        auto_topups.fill(acme.pk, now=timezone.now())

    topup = auto_topups.resume(automatic().get())

    assert (topup.state, topup.tax_cents) == ("credited", 456)
    assert len(fake_stripe.objects("tax.calculation")) == 2  # the trial of switching on, and this
    assert_credit_is_sound()


def test_without_an_address_for_tax_it_is_not_switched_on(acme, taxed, fake_stripe):
    customer = StripeCustomer.objects.get(organization=acme).stripe_id
    fake_stripe.client().v1.customers.update(customer, {"address": ""})

    with pytest.raises(auto_topups.TaxNeedsAddress):
        auto_topups.switch_on(acme, wish=WISH, actor=taxed)

    assert not AutoTopUp.objects.exists()


def test_tax_that_nobody_agreed_to_is_never_charged(acme, taxed, settings):
    settings.STRIPE_TAX = False
    auto_topups.switch_on(acme, wish=WISH, actor=taxed)
    settings.STRIPE_TAX = True

    assert auto_topups.fill(acme.pk, now=timezone.now()) is None

    plan = AutoTopUp.objects.get()
    assert (plan.is_on, plan.off_reason) == (False, auto_topups.AGREE_TO_TAX)
    assert automatic().count() == 0
