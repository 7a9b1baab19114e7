"""
Buying credit: a top-up is made here, paid on Stripe's page or by a saved card, and enters the wallet once.

`follow` is the only way into the wallet: the webhook, the page that Stripe sends the customer back to, and the
poller all call it, and it believes nothing but what it retrieves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from accounts import audit
from accounts.models import Organization, User
from billing import references, stripe_client, wallet
from billing.models import TopUp
from billing.payments import stripe_customers, stripe_payments

State = TopUp.State
UNDECIDED = (State.CREATED, State.PENDING)
SECONDS_BEFORE_POLL = 30
PAGE_LIFE = timedelta(hours=25)  # Stripe's pages live for 24 hours
CUSTOMER_TRIES = 2
CURRENCY = "usd"


class AmountNotAllowed(Exception):
    """The amount is below the least or above the most that may be bought at once, in cents."""

    def __init__(self, *, least: int, most: int) -> None:
        super().__init__(least, most)
        self.least, self.most = least, most


class Mismatch(Exception):
    """What was paid is not the top-up: other customer, reference, currency or amount. Nothing is credited."""


@dataclass(frozen=True, slots=True)
class Paid:
    """A payment that Stripe says has succeeded, in what a top-up must agree with."""

    reference: str
    customer_id: str
    currency: str
    net_cents: int
    tax_cents: int
    payment_intent_id: str
    receipt_url: str


def begin(
    organization: Organization,
    *,
    cents: int,
    actor: User | None,
    page_url: Callable[[UUID], str],
    back_url: str,
    keep_card: bool = False,
) -> tuple[TopUp, str]:
    """
    Return a new top-up and the address where it is paid.

    `page_url` gives our page for its id, to which Stripe sends the customer afterwards.
    Raises AmountNotAllowed, PaymentsOff, Refused and StripeAway; the top-up then stays `created` and costs nothing.
    """
    least, most = settings.TOPUP_LEAST_CENTS, settings.TOPUP_MOST_CENTS
    if not least <= cents <= most:
        raise AmountNotAllowed(least=least, most=most)
    if not stripe_client.is_on():
        raise stripe_client.PaymentsOff
    topup = TopUp.objects.create(
        organization=organization,
        net_cents=cents,
        actor=actor,
        shown=references.words(organization),
    )
    page = _open_page(
        topup, success_url=page_url(topup.uuid), cancel_url=back_url, keep_card=keep_card
    )
    TopUp.objects.filter(pk=topup.pk, state=State.CREATED).update(
        state=State.PENDING, checkout_id=page.id, tax_cents=page.tax_cents, pay_url=page.url
    )
    topup.refresh_from_db()
    return topup, page.url


def _open_page(
    topup: TopUp, *, success_url: str, cancel_url: str, keep_card: bool
) -> stripe_client.Checkout:
    """Return the page of a top-up, for another customer where Stripe has just deleted the one we knew."""
    for left in reversed(range(CUSTOMER_TRIES)):
        topup.customer_id = stripe_customers.ensure(topup.organization)
        topup.save(update_fields=["customer_id", "generation"])
        try:
            return stripe_client.make_checkout(
                reference=str(topup.uuid),
                customer_id=topup.customer_id,
                net_cents=topup.net_cents,
                description=f"Exerati credit{topup.shown}",
                success_url=success_url,
                cancel_url=cancel_url,
                keep_card=keep_card,
                receipt_email=stripe_customers.billing_email(topup.organization),
                idempotency_key=key_of(topup),
            )
        except stripe_client.NotAtStripe:
            if not left:
                raise stripe_client.StripeAway from None
            topup.generation += 1
    raise AssertionError("unreachable")


def key_of(topup: TopUp) -> str:
    """Return Stripe's idempotency key of a top-up's present try."""
    return f"topup:{topup.uuid}:g{topup.generation}"


def follow(uuid: UUID) -> TopUp:
    """Bring a top-up to what Stripe says of it now. Raises StripeAway and Mismatch."""
    topup = TopUp.objects.select_related("organization").get(pk=uuid)
    if topup.state == State.CREDITED:
        return topup
    if topup.way == TopUp.Way.AUTOMATIC:
        return follow_payment(topup) if topup.payment_intent_id else topup
    return _follow_page(topup) if topup.checkout_id else topup


def _follow_page(topup: TopUp) -> TopUp:
    try:
        page = stripe_client.checkout(topup.checkout_id)
    except stripe_client.NotAtStripe:
        return end(topup, State.FAILED, failure="Stripe does not know the payment page.")
    if page.paid:
        paid = Paid(
            reference=page.reference,
            customer_id=page.customer_id,
            currency=page.currency,
            net_cents=page.net_cents,
            tax_cents=page.tax_cents,
            payment_intent_id=page.payment_intent_id,
            receipt_url=page.receipt_url,
        )
        return credit(topup, paid)
    if page.status == "expired":
        return end(topup, State.EXPIRED)
    if page.has_failed:
        return end(topup, State.FAILED, failure=page.failure or "The payment failed.")
    TopUp.objects.filter(pk=topup.pk, state=State.PENDING).update(
        failure=page.failure[:200], pay_url=page.url
    )
    topup.refresh_from_db()
    return topup


def follow_payment(topup: TopUp) -> TopUp:
    """Bring a top-up that charged a saved card to what Stripe says of it. Raises StripeAway and Mismatch."""
    try:
        payment = stripe_payments.payment(topup.payment_intent_id)
    except stripe_client.NotAtStripe:
        return end(topup, State.FAILED, failure="Stripe does not know the payment.")
    if payment.status == "succeeded":
        paid = Paid(
            reference=payment.reference,
            customer_id=payment.customer_id,
            currency=payment.currency,
            net_cents=payment.received_cents - topup.tax_cents,
            tax_cents=topup.tax_cents,
            payment_intent_id=payment.id,
            receipt_url=payment.receipt_url,
        )
        return credit(topup, paid)
    if payment.status in ("requires_payment_method", "canceled"):
        return end(topup, State.FAILED, failure=payment.failure or "The payment failed.")
    return topup


def of_payment(payment_intent_id: str) -> TopUp | None:
    """
    Return the top-up that a payment has paid, None where it has paid none of ours. Raises StripeAway and Mismatch.

    One that is not credited is followed first: what comes back of a payment may be told before the payment itself,
    and is told once.
    """
    if not payment_intent_id:
        return None
    topup = TopUp.objects.filter(payment_intent_id=payment_intent_id).first()
    topup = topup or named_by(payment_intent_id)
    if topup is not None and topup.state != State.CREDITED:
        topup = follow(topup.pk)
    # A payment may name a top-up that it did not pay.
    return topup if topup and topup.payment_intent_id == payment_intent_id else None


def named_by(payment_intent_id: str) -> TopUp | None:
    """
    Return the top-up that a payment names, None where it names none of ours. Raises StripeAway.

    An automatic one whose process died before the payment was written down gets it written down now.
    """
    try:
        payment = stripe_payments.payment(payment_intent_id)
        named = TopUp.objects.filter(pk=UUID(payment.reference))
    except (ValueError, stripe_client.NotAtStripe):
        return None
    named.filter(
        way=TopUp.Way.AUTOMATIC, payment_intent_id="", customer_id=payment.customer_id
    ).update(state=State.PENDING, payment_intent_id=payment_intent_id)
    return named.first()


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
def credit(topup: TopUp, paid: Paid) -> TopUp:
    """Enter a paid top-up into the ledger and the wallet, once. Raises Mismatch."""
    topup = TopUp.objects.select_for_update(of=("self",)).get(pk=topup.pk)
    if topup.state == State.CREDITED:
        return topup
    said = (paid.reference, paid.customer_id, paid.net_cents, paid.currency)
    if said != (str(topup.uuid), topup.customer_id, topup.net_cents, CURRENCY):
        raise Mismatch(topup.uuid)
    wallet.buy(
        topup.organization,
        net_cents=paid.net_cents,
        tax_cents=paid.tax_cents,
        idempotency_key=f"topup:{topup.uuid}",
        reason=wallet.BOUGHT_BY_ITSELF if topup.way == TopUp.Way.AUTOMATIC else wallet.BOUGHT,
    )
    topup.state, topup.credited_at = State.CREDITED, timezone.now()
    topup.tax_cents, topup.failure, topup.pay_url = paid.tax_cents, "", ""
    topup.payment_intent_id, topup.receipt_url = paid.payment_intent_id, paid.receipt_url
    topup.save()
    audit.record(
        topup.organization,
        action="wallet.topped_up",
        actor=topup.actor,
        details={"topup": str(topup.uuid), "net_cents": topup.net_cents, "way": topup.way},
    )
    return topup


def end(topup: TopUp, state: str, *, failure: str = "") -> TopUp:
    """Give a top-up up that is not decided; money that comes all the same is still credited."""
    TopUp.objects.filter(pk=topup.pk, state__in=UNDECIDED).update(
        state=state, failure=failure[:200], pay_url=""
    )
    topup.refresh_from_db()
    return topup


def undecided(now: datetime) -> list[UUID]:
    """Return the top-ups that a lost webhook may have left open, the oldest first."""
    before = now - timedelta(seconds=SECONDS_BEFORE_POLL)
    known = ~Q(checkout_id="") | ~Q(payment_intent_id="")
    found = TopUp.objects.filter(known, state__in=UNDECIDED, created_at__lt=before)
    return list(found.order_by("created_at").values_list("pk", flat=True)[:500])


def give_up(now: datetime) -> int:
    """End the top-ups whose page nobody has seen: we did not get to know it, and it is no more. Return how many."""
    lost = TopUp.objects.filter(
        way=TopUp.Way.CHECKOUT,
        state=State.CREATED,
        checkout_id="",
        created_at__lt=now - PAGE_LIFE,
    )
    return lost.update(state=State.FAILED, failure="The payment page could not be opened.")


def next_generation(topup: TopUp) -> None:
    """Ask Stripe under another key from now on: it has kept a failure under this one."""
    TopUp.objects.filter(pk=topup.pk).update(generation=F("generation") + 1)
