"""Money of the sample organizations: a top-up of the prepaid one, and an invoice of one that pays afterwards."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils import timezone

from accounts.models import Organization, User
from apikeys.models import ApiKey
from billing import price_book, pricing
from billing.invoices import billing_periods
from billing.models import BillingPeriod, Invoice, PriceVersion, TopUp
from billing.types import TokenUsage
from tests import factories
from tests.billing.calls import Payer
from tests.billing.owing import close_due, pay_afterwards, use_all

# Model, how many calls, and what each used.
CALLS = (
    ("claude-sonnet-4-6", 240, TokenUsage(11_350, 640, cache_read_tokens=8_192)),
    ("gpt-5.4", 150, TokenUsage(4_120, 910, reasoning_tokens=512)),
    ("gpt-5.4", 400, TokenUsage(2_780, 305, service_tier="flex")),
    ("gpt-4o-mini", 90, TokenUsage(1_460, 210)),
)


def make_topup(organization: Organization, *, actor: User) -> TopUp:
    """Store a payment of $50 that has become credit."""
    at = timezone.now() - timedelta(days=6)
    return TopUp.objects.create(
        organization=organization,
        actor=actor,
        net_cents=5_000,
        tax_cents=950,
        state=TopUp.State.CREDITED,
        checkout_id="cs_test_sample",
        payment_intent_id="pi_sample",
        credited_at=at,
    )


def make_invoice(*, owner: User) -> Invoice:
    """Store an organization that pays afterwards, with the open invoice of its last period."""
    organization = factories.make_organization("Fabrikam", owner=owner)
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
