"""Money of the sample organizations: a top-up of the prepaid one, and an invoice of one that pays afterwards."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils import timezone

from accounts.models import Organization, User
from apikeys.models import ApiKey
from billing import price_book, pricing, wallet
from billing.invoices import billing_periods
from billing.models import AutoTopUp, BillingPeriod, Invoice, PriceVersion, Refund, TopUp
from billing.types import TokenUsage
from tests import factories
from tests.billing.calls import Payer
from tests.billing.owing import close_due, month_day_in_mid_month, pay_afterwards, use_all

# State, cents, days ago, why.
_REFUNDS = (
    (Refund.State.DONE, 1_000, 5, "Bought twice by mistake"),
    (Refund.State.FAILED, 500, 3, "The pilot of the support team ended earlier than planned"),
    (Refund.State.REQUESTED, 500, 1, "No longer needed"),
)

# Model, how many calls, and what each used.
CALLS = (
    ("claude-sonnet-4-6", 240, TokenUsage(11_350, 640, cache_read_tokens=8_192)),
    ("gpt-5.4", 150, TokenUsage(4_120, 910, reasoning_tokens=512)),
    ("gpt-5.4", 400, TokenUsage(2_780, 305, service_tier="flex")),
    ("gpt-4o-mini", 90, TokenUsage(1_460, 210)),
)


def make_topup(organization: Organization, *, actor: User) -> TopUp:
    """Store a payment of $50, of which some went back, and one of automatic top-up, which is on."""
    now = timezone.now()
    AutoTopUp.objects.create(
        organization=organization,
        is_on=True,
        threshold_cents=30_000,
        target_cents=50_000,
        ceiling_cents=200_000,
        consent_text="The sample's consent.",
        consented_at=now,
        consented_by=actor,
    )
    _paid(organization, "automatic", now - timedelta(days=12), net_cents=8_000, actor=None)
    made = _paid(organization, "checkout", now - timedelta(days=6), net_cents=5_000, actor=actor)
    for state, cents, days, reason in _REFUNDS:
        refund = Refund.objects.create(
            topup=made,
            state=state,
            net_cents=cents,
            tax_cents=cents * 19 // 100,
            reason=reason,
            created_at=now - timedelta(days=days),
        )
        if state != Refund.State.FAILED:
            made.refunded_cents += refund.cents
            wallet.take_back(
                f"topup:{made.uuid}",
                kind="refund",
                net_cents=refund.net_cents,
                tax_cents=refund.tax_cents,
                idempotency_key=f"refund:{refund.uuid}",
                reason=f"Refund: {reason}",
            )
    made.save(update_fields=["refunded_cents"])
    return made


def _paid(
    organization: Organization, way: str, at: datetime, *, net_cents: int, actor: User | None
) -> TopUp:
    made = TopUp.objects.create(
        organization=organization,
        actor=actor,
        way=way,
        net_cents=net_cents,
        tax_cents=net_cents * 19 // 100,
        state=TopUp.State.CREDITED,
        payment_intent_id=f"pi_sample_{way}",
        created_at=at,
        credited_at=at,
    )
    wallet.buy(
        organization,
        net_cents=net_cents,
        tax_cents=made.tax_cents,
        idempotency_key=f"topup:{made.uuid}",
        reason=wallet.BOUGHT_BY_ITSELF if way == TopUp.Way.AUTOMATIC else wallet.BOUGHT,
    )
    return made


def make_invoice(*, owner: User) -> Invoice:
    """Store an organization that pays afterwards, with the open invoice of its last period."""
    # Both lie in the month before this one: the beginning 40 days ago and the calls from 35 days ago on.
    organization = factories.make_organization(
        "Fabrikam", owner=owner, month_day=month_day_in_mid_month()
    )
    key = factories.make_api_key(organization, name="assistant").key
    now = timezone.now()
    pay_afterwards(organization, since=now - timedelta(days=40))
    for model, count, usage in CALLS:
        _call(organization, key, model=model, usage=usage, times=_times(count, now=now))
    period = BillingPeriod.objects.get(state="open", organization=organization)
    closed = period.period_end + timedelta(hours=2)
    billing_periods.roll_over(period, now=closed)
    made = close_due(organization, now=closed)
    Invoice.objects.filter(pk=made.pk).update(state="open", number="EXR-0007", stripe_id="in_7")
    made.refresh_from_db()
    return made


def _times(count: int, *, now: datetime) -> Iterator[datetime]:
    """Yield moments within two days, five weeks ago."""
    first = now - timedelta(days=35)
    return (first + timedelta(days=2) * number / count for number in range(count))


def _call(
    organization: Organization,
    key: ApiKey,
    *,
    model: str,
    usage: TokenUsage,
    times: Iterator[datetime],
) -> None:
    """Book calls that all used the same, at the price that the catalog had for them."""
    at = list(times)
    versions = PriceVersion.objects.filter(model=model, effective_from__lte=at[0])
    version = versions.latest("effective_from")
    charge = pricing.charge_nanousd(usage, price=price_book.price_of(version))
    use_all(
        Payer(organization, key, version),
        ((charge, one) for one in at),
        model=model,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        service_tier=usage.service_tier,
    )
