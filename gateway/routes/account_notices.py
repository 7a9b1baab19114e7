"""Keeps for staff what providers said when they refused an account of ours; shown in the admin."""

import logging
from datetime import UTC, datetime

from asgiref.sync import sync_to_async
from django.db import DatabaseError, close_old_connections
from django.db.models import F

from gateway.models import AccountNotice, Provider
from gateway.providers.base import ProviderError
from gateway.snapshot import RouteSnapshot

logger = logging.getLogger(__name__)


async def note(route: RouteSnapshot, error: ProviderError) -> None:
    """Store a refusal, or count it on the open notice of the same reason. The log has it already."""
    try:
        await sync_to_async(_store, thread_sensitive=False)(
            route.upstream.name,
            account=route.upstream.account,
            reason="quota" if error.kind == "quota" else "auth",
            message=error.message,
            now=datetime.now(UTC),
        )
    except (
        DatabaseError
    ) as failure:  # it was logged; a database that is away has an alarm of its own
        logger.warning("the notice about %s was not stored: %s", route.upstream.name, failure)


def _store(provider_name: str, *, account: str, reason: str, message: str, now: datetime) -> None:
    close_old_connections()
    try:
        provider = Provider.objects.filter(name=provider_name).first()
        if provider is None:
            return  # removed since the call began
        values = {"count": F("count") + 1, "last_at": now, "message": message[:300]}
        AccountNotice.objects.update_or_create(
            provider=provider,
            account=account,
            reason=reason,
            resolved_at=None,
            defaults=values,
            create_defaults={"first_at": now, "last_at": now, "message": message[:300]},
        )
    finally:
        close_old_connections()
