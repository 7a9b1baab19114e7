"""The notifications of an organization, and which of them a member has read."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet, Value

from accounts.models import Organization, User
from apikeys.models import ApiKey
from billing.alerting import alert_words
from billing.alerting.told import Told
from billing.models import Notification, NotificationRead

PAGE_ROWS = 50
URGENT_SHOWN = 3
COUNTED = 99  # beyond, the exact number is of no use to anybody


@dataclass(frozen=True, slots=True)
class Notice:
    """One notification as its page shows it; `may_unfreeze`: its key is still frozen."""

    public_id: str
    told: Told
    created_at: datetime
    key: ApiKey | None
    is_read: bool
    is_of_credit: bool
    is_leak: bool = False

    @property
    def may_rotate(self) -> bool:
        """Say whether it is of a leaked secret, and the key is not revoked."""
        return self.is_leak and self.key is not None and self.key.revoked_at is None

    @property
    def may_unfreeze(self) -> bool:
        """Say whether the key it froze is frozen still."""
        key = self.key
        return bool(self.told.is_frozen and key and key.disabled_reason and key.revoked_at is None)


def page(organization: Organization, *, user: User, before: str = "") -> tuple[list[Notice], str]:
    """Return a page, newest first, and where the next one begins ("" at the end); runs one query."""
    found = organization.notifications.select_related("key").annotate(is_read=_is_read(user))
    if before:
        shown = organization.notifications.filter(public_id=before).values("created_at")
        found = found.filter(created_at__lt=shown[:1])
    rows = list(found.order_by("-created_at")[: PAGE_ROWS + 1])
    notices = [_notice(row) for row in rows[:PAGE_ROWS]]
    return notices, notices[-1].public_id if len(rows) > PAGE_ROWS else ""


def urgent(organization: Organization, *, user: User) -> list[Notice]:
    """Return what cannot wait of the newest notifications that a member has not read; runs one query."""
    newest = _unread(organization, user=user).select_related("key").order_by("-created_at")
    found = [_notice(row) for row in newest.annotate(is_read=Value(False))[:URGENT_SHOWN]]
    return [notice for notice in found if notice.told.tone == "danger"]


def _notice(row: Any) -> Notice:
    """Return a row with its `is_read` as pages show it."""
    return Notice(
        public_id=row.public_id,
        told=alert_words.told(row),
        created_at=row.created_at,
        key=row.key,
        is_read=row.is_read,
        is_of_credit=row.kind in (Notification.Kind.WALLET, Notification.Kind.PAYMENT),
        is_leak=row.kind == Notification.Kind.LEAK,
    )


def unread_count(organization: Organization, *, user: User) -> int:
    """Return how many a member has not read, counted no further than one beyond 99; runs one query."""
    return _unread(organization, user=user)[: COUNTED + 1].count()


def count_text(count: int) -> str:
    """Return the number beside the bell."""
    return f"{COUNTED}+" if count > COUNTED else str(count or "")


def mark_read(organization: Organization, *, user: User, public_id: str = "") -> None:
    """Mark one notification as read by a member, or all of them; a repeat changes nothing."""
    unread = _unread(organization, user=user)
    if public_id:
        unread = unread.filter(public_id=public_id)
    NotificationRead.objects.bulk_create(
        [NotificationRead(notification=notice, user=user) for notice in unread],
        ignore_conflicts=True,
    )


def _unread(organization: Organization, *, user: User) -> QuerySet[Notification]:
    return organization.notifications.filter(~_is_read(user))


def _is_read(user: User) -> Exists:
    return Exists(NotificationRead.objects.filter(notification=OuterRef("pk"), user=user))
