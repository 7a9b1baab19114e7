"""Tasks of the nightly comparisons; beat only asks whether one is due."""

import logging
from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from billing import stripe_client
from billing.comparisons import cost_comparison, reconciliation, stripe_reconciliation
from billing.models import ReconRun

logger = logging.getLogger(__name__)
EVERY = timedelta(hours=22)  # nightly: a beat each hour that finds the last one a day old


@shared_task(name="billing.reconcile")
def reconcile() -> None:
    """Compare with Stripe, and costs with what providers state, once a night."""
    now = timezone.now()
    if reconciliation.is_due(ReconRun.Subject.COSTS, now=now, every=EVERY):
        cost_comparison.run(now)
    if stripe_client.is_on() and reconciliation.is_due(
        ReconRun.Subject.STRIPE, now=now, every=EVERY
    ):
        try:
            stripe_reconciliation.run(now)
        except stripe_client.StripeAway as error:
            logger.warning("Stripe cannot be compared with: %s", error.__cause__)


@shared_task(name="billing.compare_costs")
def compare_costs() -> None:
    """Compare our costs with those that a provider has just stated."""
    cost_comparison.run(timezone.now())


@shared_task(name="billing.tell_differences", autoretry_for=(OSError,), retry_backoff=30)
def tell_differences(*, run_id: int) -> None:
    """Mail what a run has found anew to staff."""
    reconciliation.tell(ReconRun.objects.get(pk=run_id))
