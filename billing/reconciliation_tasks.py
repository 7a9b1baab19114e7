"""Tasks of the nightly comparisons; beat only asks whether one is due."""

import logging
from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from billing import reconciliation, stripe_client, stripe_reconciliation
from billing.models import ReconRun

logger = logging.getLogger(__name__)
EVERY = timedelta(hours=22)  # nightly: a beat each hour that finds the last one a day old


@shared_task(name="billing.reconcile")
def reconcile() -> None:
    """Compare with Stripe, once a night."""
    now = timezone.now()
    if not stripe_client.is_on():
        return
    if reconciliation.is_due(ReconRun.Subject.STRIPE, now=now, every=EVERY):
        try:
            stripe_reconciliation.run(now)
        except stripe_client.StripeAway as error:
            logger.warning("Stripe cannot be compared with: %s", error.__cause__)


@shared_task(name="billing.tell_differences", autoretry_for=(OSError,), retry_backoff=30)
def tell_differences(*, run_id: int) -> None:
    """Mail what a run has found anew to staff."""
    reconciliation.tell(ReconRun.objects.get(pk=run_id))
