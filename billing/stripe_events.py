"""
What Stripe told us, applied: each event says only which object to look at, and is marked when that was done.

An event that is applied twice, late, or after a later one does no harm, since every effect reads the object's
present state and posts no more than what is missing.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.utils import timezone

from billing import stripe_client
from billing.invoices import invoice_states
from billing.models import StripeEvent
from billing.payments import auto_topups, disputes, refunds, stripe_payments, topups

POLL_OVERLAP = timedelta(minutes=10)
FIRST_POLL = timedelta(days=3)  # for so long Stripe itself tries again

logger = logging.getLogger(__name__)


def store(event: stripe_client.Event) -> bool:
    """Keep an event; return whether it is new."""
    _, is_new = StripeEvent.objects.get_or_create(
        event_id=event.id,
        defaults={
            "kind": event.kind,
            "object_id": event.object_id,
            "api_version": event.api_version,
            "happened_at": event.happened_at,
        },
    )
    return is_new


def apply(event_id: str) -> str:
    """Do what an event calls for and mark it; return a word on it. Raises StripeAway, and may be repeated then."""
    event = StripeEvent.objects.get(pk=event_id)
    if event.applied_at:
        return event.note
    handler = next((do for start, do in _HANDLERS if event.kind.startswith(start)), None)
    try:
        note = handler(event.object_id) if handler else "nothing to do"
    except stripe_client.NotAtStripe:
        note = "Stripe does not know the object"
    except topups.Mismatch as error:
        logger.error("top-up %s does not match its payment at Stripe", error)
        note = "does not match the top-up: nothing was credited"
    StripeEvent.objects.filter(pk=event_id, applied_at=None).update(
        applied_at=timezone.now(), note=note[:200]
    )
    return note


def _charge(charge_id: str) -> str:
    return refunds.follow_payment(stripe_payments.charge_intent(charge_id))


def _refund(refund_id: str) -> str:
    return refunds.follow_payment(stripe_payments.refund_intent(refund_id))


_HANDLERS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("checkout.session.", topups.follow_checkout),
    ("payment_intent.", auto_topups.follow_intent),
    ("charge.dispute.", disputes.follow),
    ("charge.refunded", _charge),
    ("charge.refund.updated", _refund),
    ("refund.", _refund),
    ("invoice.", invoice_states.follow_stripe),
)


def waiting() -> list[str]:
    """Return the events that are still to be applied, the oldest first."""
    found = StripeEvent.objects.filter(applied_at=None).order_by("received_at")
    return list(found.values_list("pk", flat=True)[:500])


def poll(now: datetime) -> int:
    """Store the events whose webhooks were lost; return how many were new. Raises StripeAway."""
    newest = StripeEvent.objects.order_by("-happened_at").values_list("happened_at", flat=True)
    since = newest.first() or now - FIRST_POLL
    return sum(store(event) for event in stripe_client.events_since(since - POLL_OVERLAP))
