"""Keeps for staff what providers said when they refused an account of ours: mailed once, shown in the admin."""

import logging
from datetime import UTC, datetime

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import DatabaseError, close_old_connections, transaction
from django.db.models import F
from django.urls import reverse

from accounts.models import User
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


@transaction.atomic
def tell_staff(now: datetime) -> int:
    """
    Mail the open notices that nobody was told of yet to all staff, in one mail; return how many they are.

    Raises what the mail backend raises, and then tells of them again the next time.
    """
    notices = list(
        AccountNotice.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(told_at=None, resolved_at=None)
        .select_related("provider")
        .order_by("pk")
    )
    staff = User.objects.filter(is_staff=True, is_active=True).order_by("email")
    addresses = list(staff.values_list("email", flat=True))
    if not notices or not addresses:
        return 0
    AccountNotice.objects.filter(pk__in=[notice.pk for notice in notices]).update(told_at=now)
    first = notices[0]
    EmailMessage(
        subject=f"{first.provider.title} refuses our account: {first.get_reason_display()}"
        if len(notices) == 1
        else f"Providers refuse {len(notices)} accounts of ours",
        body=_mail_text(notices),
        to=addresses,
        headers={"Auto-Submitted": "auto-generated"},
    ).send()
    return len(notices)


def _mail_text(notices: list[AccountNotice]) -> str:
    lines = [
        f"{notice.provider.title}, account {notice.account or '(own)'}: {notice.get_reason_display()}"
        f" since {notice.first_at:%Y-%m-%d %H:%M} UTC. It said: {notice.message or 'nothing'}"
        for notice in notices
    ]
    listed = reverse("admin:gateway_accountnotice_changelist")
    return "\n".join(
        [
            *lines,
            "",
            "Calls go to other accounts and routes meanwhile; where there is none, customers get 503.",
            "Put it right with the provider, then resolve the notice:",
            f"{settings.SITE_URL}{listed}",
        ]
    )
