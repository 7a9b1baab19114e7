"""
Money of top-ups that goes back: asked for by the customer or by staff, or made at Stripe itself.

The credit leaves the wallet first, in one transaction with the wish; then Stripe is asked, as often as it takes. So
nobody spends what is on its way back, and a process that dies in between leaves a wish that the next one fulfils.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts import audit
from accounts.models import Organization, User
from billing import ledger, lots, stripe_client, wallet
from billing.invoices import invoice_returns
from billing.models import CreditLot, Refund, TopUp
from billing.payments import stripe_payments, topups
from exerati.lib.money import NANOUSD_PER_CENT

State = Refund.State


class NotRefundable(Exception):
    """So much of the top-up cannot go back: more than is unused, too old, or disputed. `cents` is what can (net)."""

    def __init__(self, cents: int) -> None:
        super().__init__(cents)
        self.cents = cents


@dataclass(frozen=True, slots=True)
class Refundable:
    """What may go back of a top-up: unused credit in cents, and until when its buyer may ask for it."""

    topup: TopUp
    net_cents: int
    until: datetime


def window() -> timedelta:
    """Return for how long a buyer may ask for the money back."""
    return timedelta(days=settings.REFUND_WINDOW_DAYS)


def refundable(organization: Organization, *, now: datetime) -> list[Refundable]:
    """Return the top-ups whose buyer may have money back now, the newest first; runs three queries."""
    recent = TopUp.objects.filter(
        organization=organization, state=TopUp.State.CREDITED, credited_at__gt=now - window()
    )
    topups = {f"topup:{topup.uuid}": topup for topup in recent.order_by("-credited_at")}
    bought = CreditLot.objects.filter(idempotency_key__in=topups, remaining_nanousd__gt=0)
    left = {lot.idempotency_key: lot.remaining_nanousd for lot in bought}
    free = max(0, wallet.available_nanousd(organization)) if left else 0
    return [
        Refundable(topup, min(left[key], free) // NANOUSD_PER_CENT, topup.credited_at + window())
        for key, topup in topups.items()
        if key in left and min(left[key], free) >= NANOUSD_PER_CENT and topup.credited_at
    ]


def ask(topup: TopUp, *, net_cents: int, reason: str, actor: User | None, by_staff: bool) -> Refund:
    """
    Give unused credit of a top-up back, with its share of the tax; return the refund, as far as it has come.

    Staff are not held to the window. Raises NotRefundable and PaymentsOff. Where Stripe is away, it is made later.
    """
    if not stripe_client.is_on():
        raise stripe_client.PaymentsOff
    refund = _take(topup, net_cents=net_cents, reason=reason, actor=actor, by_staff=by_staff)
    try:
        return pursue(refund.pk)
    except stripe_client.StripeAway:
        return refund


@transaction.atomic
def _take(
    topup: TopUp, *, net_cents: int, reason: str, actor: User | None, by_staff: bool
) -> Refund:
    """Take the credit out of the wallet and write the wish down."""
    topup = TopUp.objects.select_for_update(of=("self",)).get(pk=topup.pk)
    ledger.lock_wallet(topup.organization_id)
    most = most_cents(topup, by_staff=by_staff)
    if not 0 < net_cents <= most:
        raise NotRefundable(most)
    before = sum(refund.cents for refund in _standing(topup))
    tax = _tax_of(topup, net_cents=net_cents)
    refund = Refund.objects.create(
        topup=topup, net_cents=net_cents, tax_cents=tax, reason=reason, actor=actor
    )
    _post(refund, topup)
    topup.refunded_cents = before + refund.cents
    topup.save(update_fields=["refunded_cents"])
    audit.record(
        topup.organization,
        action="wallet.refunded",
        actor=actor,
        details={
            "topup": str(topup.uuid),
            "net_cents": net_cents,
            "reason": reason,
            "by": "staff" if by_staff else "customer",
        },
    )
    return refund


def most_cents(topup: TopUp, *, by_staff: bool) -> int:
    """Return how much of a top-up is unused and may go back, in cents without tax."""
    if topup.state != TopUp.State.CREDITED or topup.credited_at is None:
        return 0
    if not by_staff and topup.credited_at + window() <= timezone.now():
        return 0
    lots.draw(topup.organization_id)
    lot = CreditLot.objects.get(idempotency_key=f"topup:{topup.uuid}")
    free = wallet.available_nanousd(topup.organization)
    return max(0, min(lot.remaining_nanousd, free)) // NANOUSD_PER_CENT


def _standing(topup: TopUp) -> list[Refund]:
    return list(topup.refunds.exclude(state=State.FAILED))


def _tax_of(topup: TopUp, *, net_cents: int) -> int:
    """Return the tax on a part of a top-up, so that all parts together have all of it."""
    standing = _standing(topup)
    net = sum(refund.net_cents for refund in standing) + net_cents
    tax = sum(refund.tax_cents for refund in standing)
    return net * topup.tax_cents // topup.net_cents - tax


def _post(refund: Refund, topup: TopUp) -> None:
    wallet.take_back(
        f"topup:{topup.uuid}",
        kind="refund",
        net_cents=refund.net_cents,
        tax_cents=refund.tax_cents,
        idempotency_key=f"refund:{refund.uuid}",
        reason=f"Refund: {refund.reason}"[:200],
    )


def pursue(uuid: UUID) -> Refund:
    """
    Ask Stripe for a refund that is written down, unless it is there already. Raises StripeAway.

    What Stripe refuses for good comes back into the wallet.
    """
    refund = Refund.objects.select_related("topup").get(pk=uuid)
    if refund.state != State.REQUESTED:
        return refund
    intent = refund.topup.payment_intent_id
    try:
        if not any(found.reference == str(uuid) for found in stripe_payments.refunds_of(intent)):
            stripe_payments.refund(
                payment_intent_id=intent,
                cents=refund.cents,
                reference=str(uuid),
                idempotency_key=f"refund:{uuid}:g{refund.generation}",
            )
    except stripe_client.StripeAway as error:
        if error.is_replayed:
            Refund.objects.filter(pk=uuid).update(generation=F("generation") + 1)
        raise
    except (stripe_client.Refused, stripe_client.NotAtStripe):
        _undo(refund.pk)
    follow_payment(intent)
    refund.refresh_from_db()
    return refund


def requested() -> list[UUID]:
    """Return the refunds that Stripe is still to be asked for, the oldest first."""
    found = Refund.objects.filter(state=State.REQUESTED).order_by("created_at")
    return list(found.values_list("pk", flat=True)[:500])


def follow_payment(payment_intent_id: str) -> str:
    """Post what was refunded of a top-up or an invoice, and what of that failed; return a word. Raises StripeAway."""
    topup = topups.of_payment(payment_intent_id)
    if topup is None:
        return invoice_returns.follow_refunds(payment_intent_id)
    found = stripe_payments.refunds_of(payment_intent_id)
    changed = sum(_follow_one(topup, state) for state in found)
    return f"{changed} refunds changed" if changed else "posted before"


@transaction.atomic
def _follow_one(topup: TopUp, found: stripe_payments.RefundState) -> bool:
    """Bring one refund to what Stripe says of it; return whether that changed anything."""
    topup = TopUp.objects.select_for_update(of=("self",)).get(pk=topup.pk)
    refund = topup.refunds.filter(stripe_id=found.id).first() or _ours(topup, found)
    if refund is None:
        if found.has_failed or topup.state != TopUp.State.CREDITED:
            return False
        refund = _made_elsewhere(topup, found)
    elif refund.state == State.FAILED or (refund.state == State.DONE and not found.has_failed):
        return False
    refund.stripe_id = found.id
    refund.state, refund.ended_at = State.DONE, timezone.now()
    refund.save()
    if found.has_failed:
        _undo(refund.pk)
    return True


def _ours(topup: TopUp, found: stripe_payments.RefundState) -> Refund | None:
    try:
        return topup.refunds.filter(pk=UUID(found.reference), stripe_id="").first()
    except ValueError:
        return None


def _made_elsewhere(topup: TopUp, found: stripe_payments.RefundState) -> Refund:
    """Write down and post a refund that somebody made at Stripe itself; the wallet may go below zero."""
    paid = topup.net_cents + topup.tax_cents
    before = sum(refund.cents for refund in _standing(topup))
    net = (before + found.cents) * topup.net_cents // paid - before * topup.net_cents // paid
    refund = Refund.objects.create(
        topup=topup,
        net_cents=net,
        tax_cents=found.cents - net,
        reason="made at Stripe",
        stripe_id=found.id,
    )
    _post(refund, topup)
    topup.refunded_cents = before + found.cents
    topup.save(update_fields=["refunded_cents"])
    return refund


@transaction.atomic
def _undo(uuid: UUID) -> None:
    """Bring back into the wallet what a refund took that Stripe did not make."""
    refund = Refund.objects.select_for_update().get(pk=uuid)
    if refund.state == State.FAILED:
        return
    topup = TopUp.objects.select_for_update(of=("self",)).get(pk=refund.topup_id)
    wallet.give_back(
        f"topup:{topup.uuid}",
        kind="refund_failed",
        net_cents=refund.net_cents,
        tax_cents=refund.tax_cents,
        idempotency_key=f"refund:{refund.uuid}:failed",
        reason="A refund did not reach its payer",
    )
    topup.refunded_cents -= refund.cents
    topup.save(update_fields=["refunded_cents"])
    refund.state, refund.ended_at = State.FAILED, timezone.now()
    refund.save()
