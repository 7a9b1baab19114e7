"""Celery tasks of the gateway: thin, idempotent, by name."""

from celery import shared_task
from django.utils import timezone

from gateway import idempotency


@shared_task(name="gateway.prune_idempotent_calls")
def prune_idempotent_calls() -> None:
    """Forget the answers of idempotent calls that have expired."""
    idempotency.prune(timezone.now())
