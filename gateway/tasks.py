"""Celery tasks of the gateway: thin, idempotent, by name."""

from celery import shared_task
from django.utils import timezone

from gateway import idempotency, markups
from gateway.routes import account_notices
from gateway.service_status import probes


@shared_task(name="gateway.prune_idempotent_calls")
def prune_idempotent_calls() -> None:
    """Forget the answers of idempotent calls that have expired."""
    idempotency.prune(timezone.now())


@shared_task(name="gateway.probe_components")
def probe_components() -> None:
    """Look whether our own parts work, for the status page."""
    probes.run(timezone.now())


@shared_task(name="gateway.prune_probes")
def prune_probes() -> None:
    """Forget probes that the status page no longer shows."""
    probes.prune(timezone.now())


@shared_task(name="gateway.refresh_markups")
def refresh_markups() -> None:
    """Bring the prices of organizations with a markup rule to the costs of now."""
    if markups.has_rules():
        markups.refresh(timezone.now())


@shared_task(name="gateway.tell_account_notices")
def tell_account_notices() -> None:
    """Mail staff which of our accounts providers have begun to refuse."""
    account_notices.tell_staff(timezone.now())
