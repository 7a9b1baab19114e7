"""Money of the sample organizations: a top-up of the prepaid one, and an invoice of one that pays afterwards."""

from datetime import timedelta

from django.utils import timezone

from accounts.models import Organization, User
from billing.invoices import billing_periods
from billing.models import BillingPeriod, Invoice, TopUp
from tests import factories
from tests.billing.calls import Payer
from tests.billing.owing import CENT, DOLLAR, close_due, pay_afterwards, use


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
    payer = Payer(organization, key, factories.make_price("sample/priced"))
    use(payer, 12 * DOLLAR, at=now - timedelta(days=35), model="gpt-4o")
    use(payer, 3 * DOLLAR, at=now - timedelta(days=34), model="gpt-4o", service_tier="flex")
    use(payer, 34 * CENT + 5, at=now - timedelta(days=33), model="claude-sonnet-4-5")
    period = BillingPeriod.objects.get(state="open", organization=organization)
    closed = period.period_end + timedelta(hours=2)
    billing_periods.roll_over(period, now=closed)
    made = close_due(organization, now=closed)
    Invoice.objects.filter(pk=made.pk).update(state="open", number="EXR-0007", stripe_id="in_7")
    made.refresh_from_db()
    return made
