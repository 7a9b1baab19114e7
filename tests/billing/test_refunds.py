"""Refunds: the credit leaves first, Stripe is asked until it is done, and each cent goes back once."""

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from billing import ledger, lots, stripe_client, wallet
from billing.models import CreditLot, LedgerTransfer, Refund, TopUp
from billing.payments import refunds, stripe_payments
from billing.tasks import poll_stripe
from tests import factories
from tests.billing.payments import USD, assert_credit_is_sound, buy, hear, use

pytestmark = pytest.mark.django_db


@pytest.fixture
def bought(acme, fake_stripe):
    """A top-up of $20 of acme."""
    return buy(fake_stripe, acme)


def ask(topup, cents, *, by_staff=False):
    return refunds.ask(topup, net_cents=cents, reason="test", actor=None, by_staff=by_staff)


def balance(topup):
    return wallet.balance_nanousd(topup.organization) / USD


def test_refund_takes_credit_out_of_its_own_lot_and_sends_the_money_back(bought, fake_stripe):
    refund = ask(bought, 500)

    assert (refund.state, refund.stripe_id[:3]) == ("done", "re_")
    assert balance(bought) == 15
    [at_stripe] = fake_stripe.objects("refund")
    assert (at_stripe["amount"], at_stripe["metadata"]) == (500, {"refund": str(refund.pk)})
    lot = CreditLot.objects.get()
    assert (lot.remaining_nanousd, lot.reversed_nanousd) == (15 * USD, 5 * USD)
    bought.refresh_from_db()
    assert bought.refunded_cents == 500
    assert_credit_is_sound()


def test_refund_is_posted_once_however_often_stripe_tells_of_it(bought, fake_stripe):
    ask(bought, 500)
    for _ in range(2):
        hear(fake_stripe)
        refunds.follow_payment(bought.payment_intent_id)

    assert balance(bought) == 15
    assert LedgerTransfer.objects.filter(kind="refund").count() == 1


def test_refunds_of_one_payment_add_up_and_never_pass_it(bought):
    for cents in (500, 700, 800):
        assert ask(bought, cents).state == "done"
    with pytest.raises(refunds.NotRefundable) as caught:
        ask(bought, 1)

    assert caught.value.cents == 0
    assert balance(bought) == 0
    assert_credit_is_sound()


def test_only_unused_credit_goes_back(bought, acme):
    use(acme, 15 * USD + 1)

    with pytest.raises(refunds.NotRefundable) as caught:
        ask(bought, 500)

    assert caught.value.cents == 499
    assert ask(bought, 499).state == "done"


def test_given_credit_is_used_first_so_bought_credit_can_go_back(bought, acme):
    wallet.grant(
        acme,
        amount_nanousd=5 * USD,
        source=CreditLot.Source.GRANT,
        idempotency_key="g",
        reason="test",
    )
    use(acme, 5 * USD)

    assert ask(bought, 2_000).state == "done"
    assert balance(bought) == 0


def test_credit_that_calls_hold_does_not_go_back(bought, acme):
    ledger.wallets(acme.pk).update(held_nanousd=19 * USD)

    with pytest.raises(refunds.NotRefundable) as caught:
        ask(bought, 2_000)

    assert caught.value.cents == 100


def test_after_the_window_only_staff_may_give_it_back(bought, acme):
    TopUp.objects.update(credited_at=timezone.now() - timedelta(days=14, seconds=1))

    assert refunds.refundable(acme, now=timezone.now()) == []
    with pytest.raises(refunds.NotRefundable):
        ask(bought, 500)
    assert ask(bought, 500, by_staff=True).state == "done"
    event = acme.audit_events.get(action="wallet.refunded")
    assert (event.details["by"], event.details["reason"]) == ("staff", "test")


def test_tax_goes_back_in_proportion_to_the_last_cent(acme, fake_stripe):
    topup = buy(fake_stripe, acme)
    TopUp.objects.filter(pk=topup.pk).update(tax_cents=7)
    topup.refresh_from_db()
    taxes = []
    for _ in range(3):
        refund = Refund.objects.create(
            topup=topup,
            net_cents=500,
            tax_cents=refunds._tax_of(topup, net_cents=500),
            reason="test",
        )
        taxes.append(refund.tax_cents)
    taxes.append(refunds._tax_of(topup, net_cents=500))

    assert taxes == [1, 2, 2, 2]


# Stripe away, or saying no


def test_when_stripe_is_away_the_credit_waits_outside_the_wallet(bought, fake_stripe):
    fake_stripe.fault("POST /v1/refunds", "status", status=503, times=20)

    refund = ask(bought, 500)

    assert (refund.state, balance(bought)) == ("requested", 15)
    fake_stripe.tell("clear_faults")
    poll_stripe()
    refund.refresh_from_db()
    assert (refund.state, balance(bought)) == ("done", 15)
    assert len(fake_stripe.objects("refund")) == 1


@pytest.mark.parametrize("keys", ["alive", "expired"])
def test_crash_between_created_at_stripe_and_recorded_refunds_once(
    bought, fake_stripe, monkeypatch, keys
):
    real = stripe_payments.refund

    def die(**named: Any) -> str:
        real(**named)
        raise KeyboardInterrupt  # a process that is killed does nothing more

    monkeypatch.setattr(stripe_payments, "refund", die)
    with pytest.raises(KeyboardInterrupt):
        ask(bought, 500)
    monkeypatch.setattr(stripe_payments, "refund", real)
    if keys == "expired":
        fake_stripe.tell("expire_keys")
    assert Refund.objects.get().state == "requested"

    poll_stripe()

    assert Refund.objects.get().state == "done"
    assert len(fake_stripe.objects("refund")) == 1
    assert balance(bought) == 15


def test_cached_failure_under_a_key_is_left_behind_by_the_next(bought, fake_stripe):
    fake_stripe.fault("POST /v1/refunds", "status", status=500, stored=True)

    refund = ask(bought, 500)
    assert refund.state == "requested"
    for _ in range(2):
        poll_stripe()

    refund.refresh_from_db()
    assert (refund.state, refund.generation) == ("done", 2)
    assert len(fake_stripe.objects("refund")) == 1


def test_what_stripe_refuses_comes_back(bought, fake_stripe):
    fake_stripe.fault("POST /v1/refunds", "status", status=400, code="charge_disputed")

    refund = ask(bought, 500)

    assert (refund.state, balance(bought)) == ("failed", 20)
    bought.refresh_from_db()
    assert bought.refunded_cents == 0
    assert_credit_is_sound()


def test_refund_that_fails_days_later_comes_back_once(bought, fake_stripe):
    refund = ask(bought, 500)
    fake_stripe.tell("edit", kind="refund", id=refund.stripe_id, values={"status": "failed"})

    for _ in range(2):
        refunds.follow_payment(bought.payment_intent_id)

    refund.refresh_from_db()
    assert (refund.state, balance(bought)) == ("failed", 20)
    assert ask(bought, 500).state == "done"
    assert_credit_is_sound()


# Made at Stripe itself


def test_refund_made_at_stripe_is_posted_by_what_has_changed(bought, fake_stripe):
    client = fake_stripe.client()
    for cents in (300, 400):
        client.v1.refunds.create({"payment_intent": bought.payment_intent_id, "amount": cents})
        hear(fake_stripe)
        hear(fake_stripe)

    assert balance(bought) == 13
    assert sorted(Refund.objects.values_list("net_cents", flat=True)) == [300, 400]
    assert_credit_is_sound()


def test_refund_of_used_credit_takes_the_wallet_below_zero_and_the_next_top_up_pays_it(
    bought, acme, fake_stripe
):
    use(acme, 15 * USD)
    lots.draw(acme.pk)
    fake_stripe.client().v1.refunds.create({"payment_intent": bought.payment_intent_id})
    hear(fake_stripe)
    assert balance(bought) == -15

    buy(fake_stripe, acme)

    assert balance(bought) == 5
    assert CreditLot.objects.filter(remaining_nanousd__gt=0).get().remaining_nanousd == 5 * USD
    assert_credit_is_sound()


def test_refunds_of_others_payments_are_none_of_ours(fake_stripe, db):
    client = fake_stripe.client()
    intent = client.v1.payment_intents.create(
        {"amount": 1_000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    )
    client.v1.refunds.create({"payment_intent": intent.id})
    hear(fake_stripe)

    assert not Refund.objects.exists()


def test_without_a_key_nothing_leaves_the_wallet(bought, settings):
    settings.STRIPE_SECRET_KEY = ""

    with pytest.raises(stripe_client.PaymentsOff):
        ask(bought, 500)

    assert balance(bought) == 20


# By staff, in the admin


@pytest.fixture
def staff_client(client, db):
    """A browser in which somebody of support is signed in."""
    user = factories.make_user("support@exerati.example", is_staff=True, is_superuser=True)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def admin_refund(client, topup, cents, reason="a kind word"):
    return client.post(
        reverse("admin:billing_refund_add"),
        {"topup": str(topup.pk), "net_cents": cents, "reason": reason},
    )


def test_staff_give_back_with_a_reason_that_the_audit_log_keeps(staff_client, bought, acme):
    TopUp.objects.update(credited_at=timezone.now() - timedelta(days=400))

    assert admin_refund(staff_client, bought, 700).status_code == 302

    refund = Refund.objects.get()
    assert (refund.state, refund.net_cents) == ("done", 700)
    assert refund.actor is not None
    assert refund.actor.email == "support@exerati.example"
    assert balance(bought) == 13
    event = acme.audit_events.get(action="wallet.refunded")
    assert (event.actor, event.details["reason"]) == (refund.actor, "a kind word")
    assert refund.topup.refunded_cents == 700


@pytest.mark.parametrize(("cents", "reason"), [(2_001, "x"), (0, "x"), (100, "")])
def test_staff_cannot_give_back_more_than_is_unused_or_without_a_reason(
    staff_client, bought, cents, reason
):
    answer = admin_refund(staff_client, bought, cents, reason)

    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors
    assert not Refund.objects.exists()
    assert balance(bought) == 20


def test_a_refund_cannot_be_changed_or_deleted_in_the_admin(staff_client, bought):
    refund = ask(bought, 100)
    for name in ("change", "delete"):
        address = reverse(f"admin:billing_refund_{name}", args=[refund.pk])
        assert staff_client.post(address, {"net_cents": 1}).status_code == 403
    assert staff_client.get(reverse("admin:billing_refund_changelist")).status_code == 200
