"""Celery tasks of billing: thin, idempotent, by name."""

from celery import shared_task

from accounts.models import Organization
from billing import wallet


@shared_task(name="billing.grant_trial")
def grant_trial(*, organization_id: int) -> None:
    """Give the trial credit to an organization whose owner has verified an e-mail address."""
    wallet.grant_trial(Organization.objects.get(pk=organization_id))
