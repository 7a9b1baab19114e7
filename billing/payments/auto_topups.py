"""
Wallets that fill themselves: a saved card is charged when the credit falls below a threshold, up to a target.

Only with consent, whose words are kept; one at a time, which a unique index holds; never more in a month than the
ceiling; an hour's rest after a decline, and off after three in a row. Every case that wants a person ends in a mail.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Sum
from django.utils import timezone

from accounts import audit
from accounts.models import Organization, User
from billing import references, stripe_client, wallet
from billing.models import AutoTopUp, TopUp
from billing.payments import payment_notices, stripe_customers, stripe_payments, topups
from exerati.drawing import formats
from exerati.lib import ids
from exerati.lib.money import NANOUSD_PER_CENT

BACK_OFF = timedelta(hours=1)
MOST_DECLINES = 3
MONTHS_WORDS = "{:%Y-%m}"
TAX_WORDS = "Tax comes on top of each."
AGREE_TO_TAX = "Tax is charged on top now, which nobody agreed to yet."

# Wallets below their threshold that may be filled now. One row for each organization that wants it.
DUE = """
SELECT a.organization_id FROM billing_autotopup a
JOIN billing_budget b ON b.scope = 'wallet' AND b.scope_id = a.organization_id AND b.period = 'total'
LEFT JOIN billing_billingaccount p ON p.organization_id = a.organization_id
WHERE a.is_on AND (a.not_before IS NULL OR a.not_before <= %(now)s) AND coalesce(p.plan, 'prepaid') = 'prepaid'
  AND b.credited_nanousd - b.posted_nanousd - b.held_nanousd < a.threshold_cents * 10000000::bigint
  AND NOT EXISTS (SELECT FROM billing_topup t WHERE t.organization_id = a.organization_id
                  AND t.way = 'automatic' AND t.state IN ('created', 'pending'))
ORDER BY a.organization_id LIMIT 500
"""


class NoSavedCard(Exception):
    """Nothing is saved at Stripe that could be charged."""


class TaxNeedsAddress(Exception):
    """Stripe has no address of the customer by which tax can be worked out; the text says what it says."""


@dataclass(frozen=True, slots=True)
class Wish:
    """When to fill up, to what, and how much in a calendar month at most; in cents."""

    threshold_cents: int
    target_cents: int
    ceiling_cents: int


def consent_text(organization: Organization, wish: Wish) -> str:
    """Return the words that whoever switches it on agrees to."""
    threshold, target, ceiling = (
        formats.sum_text(cents * NANOUSD_PER_CENT)
        for cents in (wish.threshold_cents, wish.target_cents, wish.ceiling_cents)
    )
    return (
        f"I allow Exerati to charge the saved card of {organization.name} without asking again, whenever the available "
        f"credit is below {threshold}, for what is missing to {target}, at most {ceiling} in a calendar month (UTC). "
        f"{TAX_WORDS + ' ' if settings.STRIPE_TAX else ''}I can switch this off at any time on this page."
    )


def switch_on(organization: Organization, *, wish: Wish, actor: User) -> AutoTopUp:
    """Store a wish with the consent to it. Raises NoSavedCard, TaxNeedsAddress, PaymentsOff and StripeAway."""
    customer = stripe_customers.ensure(organization)
    if not stripe_payments.saved_method(customer):
        raise NoSavedCard
    if settings.STRIPE_TAX:
        _try_tax(customer, wish)
    return _store(organization, wish=wish, actor=actor)


def _try_tax(customer_id: str, wish: Wish) -> None:
    """Raise TaxNeedsAddress where the tax of a top-up could not be worked out later."""
    try:
        stripe_payments.tax_on(
            customer_id=customer_id,
            net_cents=wish.target_cents,
            reference="trial",
            idempotency_key=f"tax-trial:{ids.new_uuid()}",
        )
    except stripe_client.Refused as error:
        raise TaxNeedsAddress(error.message) from error


@transaction.atomic
def _store(organization: Organization, *, wish: Wish, actor: User) -> AutoTopUp:
    values = {
        "is_on": True,
        "threshold_cents": wish.threshold_cents,
        "target_cents": wish.target_cents,
        "ceiling_cents": wish.ceiling_cents,
        "consent_text": consent_text(organization, wish),
        "consented_at": timezone.now(),
        "consented_by": actor,
        "declines": 0,
        "not_before": None,
        "off_reason": "",
    }
    plan, _ = AutoTopUp.objects.update_or_create(organization=organization, defaults=values)
    audit.record(
        organization,
        action="auto_topup.on",
        actor=actor,
        details={"consent": plan.consent_text},
    )
    return plan


@transaction.atomic
def switch_off(organization: Organization, *, actor: User | None) -> None:
    """Charge no card by ourselves from now on; a charge under way still ends."""
    if AutoTopUp.objects.filter(organization=organization, is_on=True).update(is_on=False):
        audit.record(organization, action="auto_topup.off", actor=actor)


def due(now: datetime) -> list[int]:
    """Return the organizations whose wallet is to be filled now; runs one query."""
    with connection.cursor() as cursor:
        cursor.execute(DUE, {"now": now})
        return [row[0] for row in cursor.fetchall()]


def fill(organization_id: int, *, now: datetime) -> TopUp | None:
    """
    Charge the saved card of one organization, if its wallet still wants it; return the top-up. Raises StripeAway.

    A repeat does nothing while one is under way; one that was interrupted goes on in `resume`.
    """
    plan = AutoTopUp.objects.select_related("organization").get(pk=organization_id)
    available = wallet.available_nanousd(plan.organization)
    if not plan.is_on or available >= plan.threshold_cents * NANOUSD_PER_CENT:
        return None
    if settings.STRIPE_TAX and TAX_WORDS not in plan.consent_text:
        _stop(plan, AGREE_TO_TAX)
        return None
    cents = _cents(plan, available_nanousd=available, now=now)
    if not cents:
        payment_notices.ceiling_reached(plan, month=MONTHS_WORDS.format(now))
        return None
    try:
        with transaction.atomic():
            topup = TopUp.objects.create(
                organization=plan.organization,
                way=TopUp.Way.AUTOMATIC,
                net_cents=cents,
                actor=plan.consented_by,
                shown=references.words(plan.organization),
            )
    except IntegrityError:  # somebody else was first
        return None
    return resume(topup)


def _cents(plan: AutoTopUp, *, available_nanousd: int, now: datetime) -> int:
    """Return how much to charge: what is missing to the target, within all limits; 0 where no allowed sum is left."""
    missing = -((available_nanousd - plan.target_cents * NANOUSD_PER_CENT) // NANOUSD_PER_CENT)
    left = plan.ceiling_cents - spent_cents(plan.organization, now=now)
    cents = min(max(missing, settings.TOPUP_LEAST_CENTS), settings.TOPUP_MOST_CENTS, left)
    return cents if cents >= settings.TOPUP_LEAST_CENTS else 0


def spent_cents(organization: Organization, *, now: datetime) -> int:
    """Return what automatic top-ups have charged or are charging in this calendar month."""
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    found = TopUp.objects.filter(
        organization=organization,
        way=TopUp.Way.AUTOMATIC,
        created_at__gte=month,
        state__in=[*topups.UNDECIDED, TopUp.State.CREDITED],
    )
    return found.aggregate(cents=Sum("net_cents"))["cents"] or 0


def unfinished(now: datetime) -> list[TopUp]:
    """Return automatic top-ups whose process has died before Stripe's answer was written down."""
    before = now - timedelta(seconds=topups.SECONDS_BEFORE_POLL)
    found = TopUp.objects.filter(
        way=TopUp.Way.AUTOMATIC,
        state=TopUp.State.CREATED,
        payment_intent_id="",
        created_at__lt=before,
    )
    return list(found.select_related("organization").order_by("created_at")[:500])


def resume(topup: TopUp) -> TopUp:
    """
    Charge the card for a top-up unless that was done, and follow what came of it. Raises StripeAway.

    A charge that was made and not written down is found by the top-up in its metadata; the key, as long as it lives,
    stands for the same charge.
    """
    try:
        payment_intent = _charged(topup)
    except stripe_client.StripeAway as error:
        if error.is_replayed:
            topups.next_generation(topup)
        raise
    except stripe_client.Declined as error:
        TopUp.objects.filter(pk=topup.pk).update(payment_intent_id=error.payment_intent_id)
        return _failed(topup, failure=error.message)
    except (NoSavedCard, stripe_client.NotAtStripe):
        return _failed(topup, failure="No card is saved any more.")
    except stripe_client.Refused as error:
        return _failed(topup, failure=error.message)
    TopUp.objects.filter(pk=topup.pk, state=TopUp.State.CREATED).update(
        state=TopUp.State.PENDING, payment_intent_id=payment_intent
    )
    return settle(topups.follow(topup.pk))


def _charged(topup: TopUp) -> str:
    """Return the payment of a top-up, made now if it was not before."""
    if not topup.customer_id:
        topup.customer_id = stripe_customers.ensure(topup.organization)
        topup.save(update_fields=["customer_id"])
    elif found := stripe_payments.find_payment(
        customer_id=topup.customer_id, reference=str(topup.uuid)
    ):
        return found
    method = stripe_payments.saved_method(topup.customer_id)
    if not method:
        raise NoSavedCard
    if settings.STRIPE_TAX and not topup.tax_calculation:
        _work_out_tax(topup)
    made = stripe_payments.charge(
        customer_id=topup.customer_id,
        method_id=method,
        cents=topup.net_cents + topup.tax_cents,
        tax_id=topup.tax_calculation,
        reference=str(topup.uuid),
        description=f"Exerati credit, automatic top-up{topup.shown}",
        receipt_email=stripe_customers.billing_email(topup.organization),
        idempotency_key=topups.key_of(topup),
    )
    return made.id


def _work_out_tax(topup: TopUp) -> None:
    """Write down what tax comes on top, before the card is charged for both."""
    tax = stripe_payments.tax_on(
        customer_id=topup.customer_id,
        net_cents=topup.net_cents,
        reference=str(topup.uuid),
        idempotency_key=f"{topups.key_of(topup)}:tax",
    )
    topup.tax_calculation, topup.tax_cents = tax.id, tax.cents
    topup.save(update_fields=["tax_calculation", "tax_cents"])


def follow_intent(payment_intent_id: str) -> str:
    """Follow the automatic top-up of a payment; those of Stripe's page are told of by their session."""
    topup = TopUp.objects.filter(payment_intent_id=payment_intent_id).first()
    topup = topup or topups.named_by(payment_intent_id)
    if topup is None or topup.way != TopUp.Way.AUTOMATIC:
        return "not an automatic top-up of ours"
    return settle(topups.follow(topup.pk)).state


def settle_any(topup: TopUp) -> TopUp:
    """Draw the consequences of a top-up of either way; one that somebody paid by hand has none."""
    return settle(topup) if topup.way == TopUp.Way.AUTOMATIC else topup


def settle(topup: TopUp) -> TopUp:
    """Draw the consequences of how an automatic top-up has ended; harmless when repeated."""
    if topup.state == TopUp.State.CREDITED:
        AutoTopUp.objects.filter(organization=topup.organization_id).update(
            declines=0, not_before=None
        )
    elif topup.state == TopUp.State.FAILED:
        return _failed(topup, failure=topup.failure)
    return topup


@transaction.atomic
def _failed(topup: TopUp, *, failure: str) -> TopUp:
    """End a top-up, put the next one off or switch all of it off, and tell; counts each top-up once."""
    plan = AutoTopUp.objects.select_for_update(of=("self",)).get(pk=topup.organization_id)
    topup = topups.end(topup, TopUp.State.FAILED, failure=failure)
    if topup.is_counted or topup.state != TopUp.State.FAILED:
        return topup
    TopUp.objects.filter(pk=topup.pk).update(is_counted=True)
    plan.declines += 1
    plan.not_before = timezone.now() + BACK_OFF
    plan.save()
    if plan.declines >= MOST_DECLINES:
        _stop(plan, f"It failed {plan.declines} times in a row: {failure}")
    payment_notices.topup_failed(topup, plan)
    return topup


@transaction.atomic
def _stop(plan: AutoTopUp, reason: str) -> None:
    """Switch it off by ourselves, and say why where it is switched on again."""
    plan.is_on, plan.off_reason = False, reason[:200]
    plan.save(update_fields=["is_on", "off_reason"])
    audit.record(
        plan.organization,
        action="auto_topup.off",
        actor=None,
        details={"reason": plan.off_reason},
    )
