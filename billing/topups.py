"""
Buying credit: a top-up is made here, paid on Stripe's page, and enters the wallet once.

`follow` is the only way into the wallet: the webhook, the page that Stripe sends the customer back to, and the
poller all call it, and it believes nothing but the session that it retrieves.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import Organization, User
from billing import stripe_client, stripe_customers, wallet
from billing.models import TopUp

State = TopUp.State
UNDECIDED = (State.CREATED, State.PENDING)
SECONDS_BEFORE_POLL = 30


class AmountNotAllowed(Exception):
    """The amount is below the least or above the most that may be bought at once, in cents."""

    def __init__(self, *, least: int, most: int) -> None:
        super().__init__(least, most)
        self.least, self.most = least, most


class Mismatch(Exception):
    """Stripe's session is not that of the top-up: other customer, reference or amount. Nothing is credited."""


def begin(
    organization: Organization,
    *,
    cents: int,
    actor: User | None,
    page_url: Callable[[UUID], str],
    back_url: str,
) -> tuple[TopUp, str]:
    """
    Return a new top-up and the address where it is paid.

    `page_url` gives our page for its id, to which Stripe sends the customer afterwards.
    Raises AmountNotAllowed, PaymentsOff and StripeAway; the top-up then stays `created` and costs nothing.
    """
    least, most = settings.TOPUP_LEAST_CENTS, settings.TOPUP_MOST_CENTS
    if not least <= cents <= most:
        raise AmountNotAllowed(least=least, most=most)
    if not stripe_client.is_on():
        raise stripe_client.PaymentsOff
    topup = TopUp.objects.create(organization=organization, net_cents=cents, actor=actor)
    customer = stripe_customers.ensure(organization)
    TopUp.objects.filter(pk=topup.pk).update(customer_id=customer)
    session = stripe_client.make_checkout(
        reference=str(topup.uuid),
        customer_id=customer,
        net_cents=cents,
        description="Exerati credit",
        success_url=page_url(topup.uuid),
        cancel_url=back_url,
        idempotency_key=f"topup:{topup.uuid}:g1",
    )
    TopUp.objects.filter(pk=topup.pk, state=State.CREATED).update(
        state=State.PENDING, checkout_id=session.id, tax_cents=session.tax_cents
    )
    topup.refresh_from_db()
    return topup, session.url


def follow(uuid: UUID) -> TopUp:
    """Bring a top-up to what Stripe says of it now. Raises StripeAway and Mismatch."""
    topup = TopUp.objects.select_related("organization").get(pk=uuid)
    if topup.state not in UNDECIDED or not topup.checkout_id:
        return topup
    try:
        session = stripe_client.checkout(topup.checkout_id)
    except stripe_client.NotAtStripe:
        return _end(topup, State.FAILED, failure="Stripe does not know the payment page.")
    if session.paid:
        return _credit(topup, session)
    if session.status == "expired":
        return _end(topup, State.EXPIRED)
    return topup


def follow_checkout(session_id: str) -> str:
    """Follow the top-up of a session; return what there was to do in a word or two."""
    topup = TopUp.objects.filter(checkout_id=session_id).first() or _by_reference(session_id)
    if topup is None:
        return "not a top-up of ours"
    return follow(topup.pk).state


def _by_reference(session_id: str) -> TopUp | None:
    """Return the top-up of a session whose id we did not get to write down, and write it down."""
    try:
        session = stripe_client.checkout(session_id)
        uuid = UUID(session.reference)
    except (ValueError, stripe_client.NotAtStripe):
        return None
    topup = TopUp.objects.filter(pk=uuid, checkout_id="").first()
    if topup is None or topup.customer_id != session.customer_id:
        return None
    TopUp.objects.filter(pk=uuid, checkout_id="").update(
        checkout_id=session.id, state=State.PENDING
    )
    return topup


@transaction.atomic
def _credit(topup: TopUp, session: stripe_client.Checkout) -> TopUp:
    """Enter a paid top-up into the ledger and the wallet, once."""
    topup = TopUp.objects.select_for_update(of=("self",)).get(pk=topup.pk)
    if topup.state == State.CREDITED:
        return topup
    said = (session.reference, session.customer_id, session.net_cents)
    if said != (str(topup.uuid), topup.customer_id, topup.net_cents):
        raise Mismatch(topup.uuid)
    wallet.buy(
        topup.organization,
        net_cents=session.net_cents,
        tax_cents=session.tax_cents,
        idempotency_key=f"topup:{topup.uuid}",
    )
    topup.state, topup.credited_at = State.CREDITED, timezone.now()
    topup.tax_cents, topup.failure = session.tax_cents, ""
    topup.payment_intent_id, topup.receipt_url = session.payment_intent_id, session.receipt_url
    topup.save()
    audit.record(
        topup.organization,
        action="wallet.topped_up",
        actor=topup.actor,
        details={"topup": str(topup.uuid), "net_cents": topup.net_cents},
    )
    return topup


def _end(topup: TopUp, state: str, *, failure: str = "") -> TopUp:
    TopUp.objects.filter(pk=topup.pk, state__in=UNDECIDED).update(state=state, failure=failure)
    topup.refresh_from_db()
    return topup


def undecided(now: datetime) -> list[UUID]:
    """Return the top-ups that a lost webhook may have left open, the oldest first."""
    before = now - timedelta(seconds=SECONDS_BEFORE_POLL)
    found = TopUp.objects.filter(state__in=UNDECIDED, created_at__lt=before).exclude(checkout_id="")
    return list(found.order_by("created_at").values_list("pk", flat=True)[:500])
