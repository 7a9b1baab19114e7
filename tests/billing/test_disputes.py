"""Disputes: frozen while undecided, taken once, back when won, in whatever order Stripe tells."""

import itertools
from typing import Any

import pytest
from django.utils import timezone

from billing import lots, stripe_events, wallet
from billing.models import CreditLot, Dispute, LedgerTransfer, Notification, StripeEvent
from billing.payments import disputes, refunds
from tests.billing.payments import USD, assert_credit_is_sound, buy, hear, use

pytestmark = pytest.mark.django_db


@pytest.fixture
def bought(acme, fake_stripe):
    """A top-up of $20 of acme."""
    return buy(fake_stripe, acme)


def dispute(fake, topup):
    """Let the payer's bank take a payment back, and return the dispute."""
    intent = fake.client().v1.payment_intents.retrieve(topup.payment_intent_id)
    return fake.tell("dispute", charge=intent.latest_charge)


def only_asked(fake, topup):
    """Let a bank only ask about a payment: nothing is moved yet."""
    opened = dispute(fake, topup)
    values: dict[str, Any] = {"balance_transactions": [], "status": "warning_needs_response"}
    fake.tell("edit", kind="dispute", id=opened["id"], values=values)
    return opened


def balance(topup):
    return wallet.balance_nanousd(topup.organization) / USD


def of_kind(kind):
    return (
        sum(LedgerTransfer.objects.filter(kind=kind).values_list("amount_nanousd", flat=True)) / USD
    )


def test_withdrawn_money_leaves_the_wallet_with_its_fee_on_us(bought, fake_stripe):
    dispute(fake_stripe, bought)
    hear(fake_stripe)

    assert balance(bought) == 0
    assert of_kind("dispute") == 20
    fee = LedgerTransfer.objects.get(kind="dispute_fee")
    assert (fee.debit_account.kind, fee.amount_nanousd / USD) == ("dispute_fees", 15)
    assert CreditLot.objects.get().remaining_nanousd == 0
    assert_credit_is_sound()


def test_a_dispute_that_is_won_brings_the_credit_back_exactly(bought, acme, fake_stripe):
    use(acme, 3 * USD)
    opened = dispute(fake_stripe, bought)
    hear(fake_stripe)
    assert balance(bought) == -3

    fake_stripe.tell("end_dispute", dispute=opened["id"], won=True)
    hear(fake_stripe)

    assert balance(bought) == 17
    assert CreditLot.objects.get().remaining_nanousd == 17 * USD
    assert Dispute.objects.get().status == "won"
    assert of_kind("dispute") == of_kind("dispute_won") == 20
    assert_credit_is_sound()


def test_a_dispute_that_is_lost_is_final(bought, acme, fake_stripe):
    use(acme, 3 * USD)
    opened = dispute(fake_stripe, bought)
    hear(fake_stripe)
    fake_stripe.tell("end_dispute", dispute=opened["id"], won=False)
    hear(fake_stripe)

    assert balance(bought) == -3
    assert Dispute.objects.get().status == "lost"
    assert of_kind("dispute_fee") == 15
    assert_credit_is_sound()


def test_wallet_below_zero_after_a_dispute_is_topped_up_before_calls_go_on(
    bought, acme, fake_stripe
):
    use(acme, 3 * USD)
    dispute(fake_stripe, bought)
    hear(fake_stripe)
    assert wallet.available_nanousd(acme) == -3 * USD

    buy(fake_stripe, acme)

    assert wallet.available_nanousd(acme) == 17 * USD
    assert_credit_is_sound()


def test_credit_is_frozen_while_a_bank_only_asks(bought, acme, fake_stripe):
    use(acme, 5 * USD)
    opened = only_asked(fake_stripe, bought)
    disputes.follow(opened["id"])
    disputes.follow(opened["id"])

    assert balance(bought) == 0
    assert CreditLot.objects.get().frozen_nanousd == 15 * USD
    assert of_kind("freeze") == 15
    with pytest.raises(refunds.NotRefundable):
        refunds.ask(bought, net_cents=1, reason="x", actor=None, by_staff=True)
    assert_credit_is_sound()

    fake_stripe.tell("edit", kind="dispute", id=opened["id"], values={"status": "warning_closed"})
    disputes.follow(opened["id"])
    assert balance(bought) == 15
    assert CreditLot.objects.get().frozen_nanousd == 0
    assert_credit_is_sound()


def test_frozen_credit_is_taken_when_the_money_is(bought, acme, fake_stripe):
    opened = dispute(fake_stripe, bought)
    [moved] = (
        fake_stripe.client().v1.disputes.retrieve(opened["id"]).to_dict()["balance_transactions"]
    )
    fake_stripe.tell("edit", kind="dispute", id=opened["id"], values={"balance_transactions": []})
    disputes.follow(opened["id"])
    assert CreditLot.objects.get().frozen_nanousd == 20 * USD

    fake_stripe.tell(
        "edit", kind="dispute", id=opened["id"], values={"balance_transactions": [moved]}
    )
    disputes.follow(opened["id"])

    lot = CreditLot.objects.get()
    assert (lot.frozen_nanousd, lot.reversed_nanousd, balance(bought)) == (0, 20 * USD, 0)
    assert_credit_is_sound()


def test_use_of_disputed_credit_is_drawn_of_other_lots(bought, acme, fake_stripe):
    use(acme, 5 * USD)
    lots.draw(acme.pk)
    buy(fake_stripe, acme, cents=1_000)

    dispute(fake_stripe, bought)
    hear(fake_stripe)

    left = CreditLot.objects.get(remaining_nanousd__gt=0)
    assert left.remaining_nanousd == 5 * USD
    assert balance(bought) == 5
    assert_credit_is_sound()


def test_any_order_and_number_of_the_events_ends_alike(bought, acme, fake_stripe):
    opened = dispute(fake_stripe, bought)
    fake_stripe.tell("end_dispute", dispute=opened["id"], won=True)
    kinds = [
        f"charge.dispute.{name}"
        for name in ("created", "funds_withdrawn", "funds_reinstated", "closed")
    ]
    for order in list(itertools.permutations(kinds))[::5]:
        StripeEvent.objects.all().delete()
        hear_in(fake_stripe, order)
        hear_in(fake_stripe, order)

    assert balance(bought) == 20
    assert LedgerTransfer.objects.filter(kind__in=["dispute", "dispute_won"]).count() == 2
    assert_credit_is_sound()


def hear_in(fake, kinds):
    """Apply the events of these kinds in this order."""
    ids = {event["type"]: event["id"] for event in fake.objects("event")}
    hear_nothing_else(fake)
    for kind in kinds:
        StripeEvent.objects.filter(pk=ids[kind]).update(applied_at=None)
        stripe_events.apply(ids[kind])


def hear_nothing_else(fake):
    stripe_events.poll(timezone.now())


def test_organization_is_told_of_a_dispute_and_how_it_ended(bought, acme, fake_stripe):
    opened = dispute(fake_stripe, bought)
    hear(fake_stripe)
    fake_stripe.tell("end_dispute", dispute=opened["id"], won=False)
    hear(fake_stripe)

    told = Notification.objects.filter(organization=acme).order_by("created_at")
    assert [notice.details["what"] for notice in told] == ["dispute_open", "dispute_lost"]
    assert acme.audit_events.filter(action="wallet.dispute_changed").count() == 1


def test_disputes_of_others_payments_are_none_of_ours(fake_stripe, db):
    client = fake_stripe.client()
    client.v1.payment_intents.create(
        {
            "amount": 1_000,
            "currency": "usd",
            "payment_method": "pm_card_createDispute",
            "confirm": True,
        }
    )
    hear(fake_stripe)

    assert not Dispute.objects.exists()
    assert not LedgerTransfer.objects.exists()
