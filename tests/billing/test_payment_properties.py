"""
Whatever two organizations pay, get back and dispute, and in whatever order, number and completeness Stripe tells of it:
both sides agree, the end is the same, and nobody's money reaches the other.

`EXERATI_EXAMPLES=200` draws more of them.
"""

import os
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from billing import stripe_events, wallet
from billing.comparisons import stripe_reconciliation
from billing.models import (
    CreditLot,
    Dispute,
    Invoice,
    InvoiceDispute,
    InvoiceRefund,
    LedgerTransfer,
    ReconItem,
    Refund,
    StripeEvent,
    TopUp,
)
from exerati.lib.money import NANOUSD_PER_CENT
from tests.billing.owing import assert_books_balance
from tests.billing.payments import assert_credit_is_sound, begin, hear, pay
from tests.billing.stripe_world import give_card, push, sealed_invoice
from tests.billing.test_invoice_returns import dispute, end, refund

pytestmark = pytest.mark.django_db
EXAMPLES = int(os.environ.get("EXERATI_EXAMPLES", "3"))
FATES = ("kept", "refunded", "asked", "won", "lost", "left")
PAYMENTS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(500, 9_000), st.sampled_from(FATES)),
    min_size=2,
    max_size=3,
)
drawn = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize="EXERATI_EXAMPLES" not in os.environ,
    phases=[Phase.generate],  # each takes a second or two: what fails is told as it is
)


def live(fake: Any, topup: TopUp, fate: str) -> int:
    """Let a top-up meet its fate at Stripe, of which nobody tells us; return the cents that are left of it."""
    if fate == "left":
        return 0
    pay(fake, topup)
    client = fake.client()
    intent = client.v1.payment_intents.retrieve(
        client.v1.checkout.sessions.retrieve(topup.checkout_id).payment_intent
    )
    if fate == "refunded":
        back = topup.net_cents // 3
        client.v1.refunds.create({"payment_intent": intent.id, "amount": back})
        return topup.net_cents - back
    if fate in ("asked", "won", "lost"):
        opened = fake.tell("dispute", charge=intent.latest_charge)
        if fate != "asked":
            fake.tell("end_dispute", dispute=opened["id"], won=fate == "won")
        return topup.net_cents if fate == "won" else 0
    return topup.net_cents


def told(event: dict[str, Any]) -> None:
    """Hear of one event, and forget that it was heard of before."""
    StripeEvent.objects.get_or_create(
        event_id=event["id"],
        defaults={
            "kind": event["type"],
            "object_id": event["data"]["object"]["id"],
            # Long ago, so that the poller asks for every event again.
            "happened_at": timezone.now() - timedelta(days=1),
        },
    )
    StripeEvent.objects.filter(pk=event["id"]).update(applied_at=None)
    stripe_events.apply(event["id"])


def books() -> list[Any]:
    """Return all that is known of payments, without times and ids."""
    transfers = LedgerTransfer.objects.values_list(
        "organization", "kind", "debit_account__kind", "credit_account__kind", "amount_nanousd"
    )
    return [
        list(TopUp.objects.order_by("pk").values_list("pk", "state", "net_cents")),
        sorted(Refund.objects.values_list("topup", "state", "net_cents")),
        sorted(Dispute.objects.values_list("stripe_id", "status")),
        sorted(
            CreditLot.objects.values_list("organization", "remaining_nanousd", "frozen_nanousd")
        ),
        sorted(transfers),
        list(Invoice.objects.values_list("state", "net_cents", "tax_cents")),
        sorted(InvoiceRefund.objects.values_list("stripe_id", "net_cents", "state")),
        sorted(InvoiceDispute.objects.values_list("stripe_id", "status", "lost_net_cents")),
    ]


def told_in_order_then_in_any(fake: Any, data: Any) -> list[Any]:
    """Hear of all events in their order and undo that, then in any order; return the books of the first time."""
    events = fake.objects("event")
    with transaction.atomic():
        for event in events:
            told(event)
        in_order = books()
        transaction.set_rollback(True)
    for event in data.draw(st.lists(st.sampled_from(events), max_size=2 * len(events))):
        told(event)  # some of them often, some never
    hear(fake)
    return in_order


def differences() -> list[tuple[str, str]]:
    stripe_reconciliation.run(timezone.now() + timedelta(hours=2))
    return list(ReconItem.objects.filter(gone_at=None).values_list("kind", "object_id"))


@drawn
@given(payments=PAYMENTS, data=st.data())
def test_both_sides_agree_in_whatever_order_stripe_tells_and_money_stays_with_its_payer(
    acme: Any, globex: Any, fake_stripe: Any, payments: list[tuple[int, int, str]], data: Any
) -> None:
    with transaction.atomic():
        fake_stripe.tell("reset")
        left = {acme.pk: 0, globex.pk: 0}
        for number, cents, fate in payments:
            payer = (acme, globex)[number]
            left[payer.pk] += live(fake_stripe, begin(payer, cents=cents), fate)
        in_order = told_in_order_then_in_any(fake_stripe, data)

        assert books() == in_order
        assert {
            one.pk: wallet.balance_nanousd(one) // NANOUSD_PER_CENT for one in (acme, globex)
        } == left
        assert differences() == []
        assert_credit_is_sound()
        transaction.set_rollback(True)


@pytest.mark.parametrize("fate", ["refunded", "asked", "won", "lost"])
def test_what_came_back_of_a_payment_counts_although_it_is_told_before_the_payment(
    acme: Any, fake_stripe: Any, fate: str
) -> None:
    left = live(fake_stripe, begin(acme, cents=2_000), fate)
    events = fake_stripe.objects("event")
    returns = [one for one in events if one["type"].startswith(("charge.dispute", "charge.refund"))]
    assert returns

    for event in returns:
        told(event)
    hear(fake_stripe)

    assert wallet.balance_nanousd(acme) == left * NANOUSD_PER_CENT
    assert differences() == []
    assert_credit_is_sound()


def live_invoice(fake: Any, invoice: Invoice, fate: str) -> None:
    """Let an open invoice meet its fate at Stripe, of which nobody tells us."""
    if fate == "left":
        return
    fake.client().v1.invoices.pay(invoice.stripe_id, {"payment_method": "pm_card_visa"})
    if fate == "refunded":
        refund(fake, invoice, invoice.net_cents // 3)
    if fate in ("asked", "won", "lost"):
        opened = dispute(fake, invoice)
        if fate != "asked":
            end(fake, opened, won=fate == "won")


@drawn
@given(cents=st.integers(300, 9_000), fate=st.sampled_from(FATES), data=st.data())
def test_an_invoice_ends_alike_in_whatever_order_stripe_tells(
    fake_stripe: Any, cents: int, fate: str, data: Any
) -> None:
    with transaction.atomic():
        fake_stripe.tell("reset")
        sealed = sealed_invoice(cents)
        give_card(fake_stripe, sealed.organization, "pm_card_chargeCustomerFail")
        invoice = push(sealed)
        assert invoice.state == "open"
        live_invoice(fake_stripe, invoice, fate)
        in_order = told_in_order_then_in_any(fake_stripe, data)

        assert books() == in_order
        invoice.refresh_from_db()
        assert invoice.state == ("open" if fate == "left" else "paid")
        assert differences() == []
        assert_books_balance()
        transaction.set_rollback(True)


@drawn
@given(
    cents=st.integers(500, 9_000),
    others=st.integers(500, 9_000),
    reference=st.sampled_from(["ours", "nobody's", "none"]),
    customer=st.booleans(),
)
def test_a_payment_that_names_another_organization_is_nobodys(
    acme: Any,
    globex: Any,
    fake_stripe: Any,
    cents: int,
    others: int,
    reference: str,
    customer: bool,
) -> None:
    with transaction.atomic():
        fake_stripe.tell("reset")
        ours, theirs = begin(acme, cents=cents), begin(globex, cents=others)
        named = {
            "ours": str(ours.pk),
            "nobody's": "7f0c5a1e-0000-4000-8000-000000000000",
            "none": None,
        }
        values: dict[str, Any] = {"client_reference_id": named[reference]}
        if customer:
            mine = fake_stripe.client().v1.checkout.sessions.retrieve(ours.checkout_id)
            values["customer"] = mine.customer
        pay(fake_stripe, theirs)
        fake_stripe.tell("edit", kind="checkout.session", id=theirs.checkout_id, values=values)

        hear(fake_stripe)

        assert wallet.balance_nanousd(acme) == 0
        assert wallet.balance_nanousd(globex) == 0
        assert_credit_is_sound()
        transaction.set_rollback(True)
