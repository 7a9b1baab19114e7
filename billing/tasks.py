"""Celery tasks of billing: thin, idempotent, by name."""

from celery import shared_task
from django.utils import timezone

from accounts.models import Organization
from billing import aggregation, retention, wallet


@shared_task(name="billing.grant_trial")
def grant_trial(*, organization_id: int) -> None:
    """Give the trial credit to an organization whose owner has verified an e-mail address."""
    wallet.grant_trial(Organization.objects.get(pk=organization_id))


@shared_task(name="billing.roll_up")
def roll_up() -> None:
    """Add the events that were settled since the last time to the hourly sums."""
    aggregation.roll_up()


@shared_task(name="billing.create_partitions")
def create_partitions() -> None:
    """Make the monthly partitions of usage events before they are needed."""
    aggregation.create_partitions(timezone.now())


@shared_task(name="billing.prune_reservations")
def prune_reservations() -> None:
    """Forget reservations that ended long ago."""
    retention.prune_reservations(timezone.now())
