"""
Money that goes back to the customer: refunds and disputes of top-ups, posted as what changed since the last time.

Stripe's amounts are cumulative and its events come in any order, so each is read anew, and the difference to what
was posted is posted. A wallet may go below zero here, and only here; then nothing is admitted until it is paid up.
"""

from django.db import transaction

from billing import stripe_client, wallet
from billing.models import Dispute, TopUp


def follow_payment(payment_intent_id: str) -> str:
    """Post what was refunded of a top-up since the last time; return a word on it. Raises StripeAway."""
    topup = TopUp.objects.filter(payment_intent_id=payment_intent_id).first()
    if topup is None:
        return "not a top-up of ours"
    return _refunded(topup, stripe_client.payment(payment_intent_id))


@transaction.atomic
def _refunded(topup: TopUp, payment: stripe_client.Payment) -> str:
    topup = TopUp.objects.select_for_update(of=("self",)).get(pk=topup.pk)
    delta = payment.refunded_cents - topup.refunded_cents
    if delta <= 0:
        return "posted before"
    net, tax = _parts(topup, topup.refunded_cents, payment.refunded_cents)
    wallet.take_back(
        f"topup:{topup.uuid}",
        kind="refund",
        net_cents=net,
        tax_cents=tax,
        idempotency_key=f"refund:{topup.uuid}:{payment.refunded_cents}",
        reason="Refund",
    )
    topup.refunded_cents = payment.refunded_cents
    topup.save(update_fields=["refunded_cents"])
    return f"{delta} cents refunded"


def _parts(topup: TopUp, before: int, after: int) -> tuple[int, int]:
    """Return credit and tax in the cents between two sums of a payment, in the proportion in which both were paid."""
    paid = topup.net_cents + topup.tax_cents
    net = after * topup.net_cents // paid - before * topup.net_cents // paid
    return net, after - before - net


def follow_dispute(dispute_id: str) -> str:
    """Post what a dispute has taken and given back since the last time. Raises StripeAway."""
    state = stripe_client.dispute(dispute_id)
    topup = TopUp.objects.filter(payment_intent_id=state.payment_intent_id).first()
    if topup is None or not state.payment_intent_id:
        return "not a top-up of ours"
    return _disputed(topup, state)


@transaction.atomic
def _disputed(topup: TopUp, state: stripe_client.DisputeState) -> str:
    topup = TopUp.objects.select_for_update(of=("self",)).get(pk=topup.pk)
    row, _ = Dispute.objects.get_or_create(
        stripe_id=state.id, defaults={"topup": topup, "status": state.status}
    )
    taken = state.withdrawn_cents - row.withdrawn_cents
    back = state.reinstated_cents - row.reinstated_cents
    fee = state.fee_cents - row.fee_cents
    lot = f"topup:{topup.uuid}"
    if taken > 0:
        net, tax = _parts(topup, row.withdrawn_cents, state.withdrawn_cents)
        wallet.take_back(
            lot,
            kind="dispute",
            net_cents=net,
            tax_cents=tax,
            idempotency_key=f"dispute:{state.id}:taken:{state.withdrawn_cents}",
            reason="Charged back by the payer's bank",
        )
    if back > 0:
        net, tax = _parts(topup, row.reinstated_cents, state.reinstated_cents)
        wallet.give_back(
            lot,
            kind="dispute_won",
            net_cents=net,
            tax_cents=tax,
            idempotency_key=f"dispute:{state.id}:back:{state.reinstated_cents}",
            reason="The dispute was won",
        )
    if fee > 0:
        wallet.pay_dispute_fee(
            topup.organization,
            cents=fee,
            idempotency_key=f"dispute:{state.id}:fee:{state.fee_cents}",
        )
    row.withdrawn_cents = max(row.withdrawn_cents, state.withdrawn_cents)
    row.reinstated_cents = max(row.reinstated_cents, state.reinstated_cents)
    row.fee_cents, row.status = max(row.fee_cents, state.fee_cents), state.status
    row.save()
    return f"dispute {state.status}"
