"""
Payments that the payer's bank takes back: frozen while undecided, taken when Stripe takes them, back when won.

Stripe's events come in any order, so each dispute is read anew, and the difference to what was posted is posted. A
wallet may go below zero here; then nothing is admitted until it is paid up.
"""

from django.db import transaction

from accounts import audit
from billing import wallet
from billing.invoices import invoice_returns
from billing.models import Dispute, TopUp
from billing.payments import payment_notices, stripe_payments, topups


def follow(dispute_id: str) -> str:
    """Post what a dispute has taken and given back since the last time; return a word on it. Raises StripeAway."""
    state = stripe_payments.dispute(dispute_id)
    topup = topups.of_payment(state.payment_intent_id)
    if topup is None:
        return invoice_returns.follow_dispute(state)
    return _bring_up_to(topup, state)


@transaction.atomic
def _bring_up_to(topup: TopUp, state: stripe_payments.DisputeState) -> str:
    topup = TopUp.objects.select_for_update(of=("self",)).get(pk=topup.pk)
    row, is_new = Dispute.objects.get_or_create(
        stripe_id=state.id, defaults={"topup": topup, "status": state.status}
    )
    _freeze(topup, row, state, is_new=is_new)
    _move(topup, row, state)
    if not is_new and row.status != state.status:
        audit.record(
            topup.organization,
            action="wallet.dispute_changed",
            actor=None,
            details={"dispute": state.id, "status": state.status},
        )
    changed = is_new or row.status != state.status
    row.withdrawn_cents = max(row.withdrawn_cents, state.withdrawn_cents)
    row.reinstated_cents = max(row.reinstated_cents, state.reinstated_cents)
    row.fee_cents, row.status = max(row.fee_cents, state.fee_cents), state.status
    row.save()
    if changed and state.status in ("won", "lost", "needs_response", "under_review"):
        payment_notices.dispute(topup, row)
    return f"dispute {state.status}"


def _freeze(
    topup: TopUp, row: Dispute, state: stripe_payments.DisputeState, *, is_new: bool
) -> None:
    """Set the credit aside while a dispute is open and has moved nothing; once only, since it only goes forward."""
    wanted = state.is_open and state.withdrawn_cents == 0
    if wanted and is_new:
        wallet.freeze(f"topup:{topup.uuid}", idempotency_key=f"dispute:{row.stripe_id}:freeze")
        row.is_frozen = True
    elif row.is_frozen and not wanted:
        wallet.thaw(f"topup:{topup.uuid}", idempotency_key=f"dispute:{row.stripe_id}:thaw")
        row.is_frozen = False


def _move(topup: TopUp, row: Dispute, state: stripe_payments.DisputeState) -> None:
    """Post what was taken and given back since the last time, and the fee."""
    lot = f"topup:{topup.uuid}"
    if state.withdrawn_cents > row.withdrawn_cents:
        net, tax = _parts(topup, row.withdrawn_cents, state.withdrawn_cents)
        wallet.take_back(
            lot,
            kind="dispute",
            net_cents=net,
            tax_cents=tax,
            idempotency_key=f"dispute:{state.id}:taken:{state.withdrawn_cents}",
            reason="Charged back by the payer's bank",
        )
        row.kept_net_cents += net
    if state.reinstated_cents > row.reinstated_cents:
        net, tax = _parts(topup, row.reinstated_cents, state.reinstated_cents)
        wallet.give_back(
            lot,
            kind="dispute_won",
            net_cents=net,
            tax_cents=tax,
            idempotency_key=f"dispute:{state.id}:back:{state.reinstated_cents}",
            reason="The dispute was won",
        )
        row.kept_net_cents -= net
    if state.fee_cents > row.fee_cents:
        wallet.pay_dispute_fee(
            topup.organization,
            cents=state.fee_cents - row.fee_cents,
            idempotency_key=f"dispute:{state.id}:fee:{state.fee_cents}",
        )


def _parts(topup: TopUp, before: int, after: int) -> tuple[int, int]:
    """Return credit and tax in the cents between two sums of a payment, in the proportion in which both were paid."""
    paid = topup.net_cents + topup.tax_cents
    net = after * topup.net_cents // paid - before * topup.net_cents // paid
    return net, after - before - net
