"""
What is worth telling an organization of its spending: budgets and credit as they fill, keys that spend unusually.

Only organizations whose counters have changed are looked at (`ChangedSpend`), each in a transaction of its own. What
was told is a unique row, so that two checks at once, or one that is repeated, tell nothing twice.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from accounts.models import Organization
from apikeys import services as key_services
from apikeys.models import ApiKey, DisabledReason
from billing.models import (
    AlertSettings,
    BillingAccount,
    Budget,
    ChangedSpend,
    Notification,
    WalletWatch,
)
from exerati.lib.queue import enqueue

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
RECENT = timedelta(hours=1)  # how far back a refusal makes a budget full
AT_MOST = 1_000  # organizations a check looks at
REFUSING_PERCENT = 90  # a budget this full that refuses calls is as good as used up

# The counters with a cap that bind keys used in the last two days, and whether each has refused calls lately. The cap
# is that of the moment, temporary raises included.
COUNTERS = """
WITH used AS (
    SELECT id, project_id FROM apikeys_apikey
    WHERE organization_id = %(organization)s AND mode = 'live' AND revoked_at IS NULL
      AND (last_used_at >= %(two_days_ago)s OR last_used_at IS NULL)
)
SELECT s.capped_by, s.scope_id, s.model, s.period, s.period_end, s.cap, s.posted, s.held,
    CASE s.scope WHEN 'wallet' THEN o.name WHEN 'organization' THEN o.name WHEN 'project' THEN p.name
        WHEN 'member' THEN u.email ELSE k.name END,
    k.id, EXISTS (
        SELECT FROM billing_refusedrequest r
        WHERE r.organization_id = %(organization)s AND r.occurred_at >= %(lately)s AND r.limit_kind = 'money'
          AND r.scope = s.capped_by AND r.period = s.period
          AND (k.id IS NULL OR r.key_id = k.id) AND (p.id IS NULL OR r.project_id = p.id)
          AND (u.id IS NULL OR billing_is_of_member(s.scope_id, r.key_id))
          AND (s.model = '' OR r.model = s.model)
    )
FROM billing_scopes(ARRAY[%(organization)s::bigint],
    ARRAY(SELECT DISTINCT project_id FROM used), ARRAY(SELECT id FROM used), %(now)s) s
JOIN accounts_organization o ON o.id = s.organization_id
LEFT JOIN accounts_project p ON s.scope = 'project' AND p.id = s.scope_id
LEFT JOIN apikeys_apikey k ON s.scope IN ('key', 'key_model') AND k.id = s.scope_id
LEFT JOIN accounts_membership m ON s.scope = 'member' AND m.id = s.scope_id
LEFT JOIN accounts_user u ON u.id = m.user_id
WHERE s.cap > 0 AND s.counter IS NOT NULL AND s.capped_by <> 'wallet'
"""

# What each key spent in this hour, and in those of the seven days before.
SPENDING = """
SELECT k.id, k.created_at, coalesce(sum(u.charge_nanousd) FILTER (WHERE u.hour >= %(hour)s), 0)::bigint AS present,
    coalesce(sum(u.charge_nanousd) FILTER (WHERE u.hour < %(hour)s), 0)::bigint AS before
FROM billing_usagerollup u JOIN apikeys_apikey k ON k.id = u.key_id
WHERE u.organization_id = %(organization)s AND u.hour >= %(week_ago)s AND u.mode = 'live' AND k.revoked_at IS NULL
GROUP BY k.id, k.created_at
HAVING sum(u.charge_nanousd) FILTER (WHERE u.hour >= %(hour)s) >= %(floor)s
"""


@dataclass(frozen=True, slots=True)
class Counter:
    """One capped counter in nano-USD; `scope` is whose cap it is, `key_id` that of a key's own."""

    scope: str
    scope_id: int
    model: str
    period: str
    period_end: datetime
    cap: int
    posted: int
    held: int
    name: str
    key_id: int | None
    is_refusing: bool

    @property
    def percent(self) -> int:
        """Return the used share, rounded down; 100 where calls are refused though little is left."""
        percent = self.posted * 100 // self.cap
        return 100 if self.is_refusing and percent >= REFUSING_PERCENT else percent


def waiting() -> list[int]:
    """Return the organizations to look at; runs one query."""
    rows = ChangedSpend.objects.order_by("organization_id")
    return list(rows.values_list("organization_id", flat=True)[:AT_MOST])


def to_be_mailed(now: datetime) -> list[int]:
    """Return notifications whose mail should have gone out before: its task was lost."""
    late = Notification.objects.filter(
        by_mail=True, mailed_at=None, created_at__lt=now - timedelta(minutes=2)
    )
    return list(late.order_by("created_at").values_list("pk", flat=True)[:AT_MOST])


@transaction.atomic
def check(organization_id: int, *, now: datetime) -> list[Notification]:
    """
    Look at one organization that waits; return what is newly told. Mail follows by a task.

    Nothing is done where another check has it in hand.
    """
    if not _take(organization_id):
        return []
    organization = Organization.objects.get(pk=organization_id)
    wanted = AlertSettings.objects.filter(organization=organization).first()
    wanted = wanted or AlertSettings(organization=organization)
    told = []
    if wanted.budgets:
        told += _budgets(organization, wanted=wanted, now=now)
    told += _wallet(organization, wanted=wanted, now=now)
    if wanted.spikes or wanted.freeze_on_spike:
        told += _spikes(organization, wanted=wanted, now=now)
    return told


def _take(organization_id: int) -> bool:
    """Take the mark off; it comes back when the transaction fails, or when something changes meanwhile."""
    mine = ChangedSpend.objects.select_for_update(skip_locked=True)
    found = mine.filter(organization_id=organization_id).first()
    if found is None:
        return False
    found.delete()
    return True


def _budgets(
    organization: Organization, *, wanted: AlertSettings, now: datetime
) -> list[Notification]:
    told = []
    for counter in _counters(organization, now=now):
        threshold = highest(wanted.thresholds, percent=counter.percent)
        if threshold is None:
            continue
        end = f"{counter.period_end:%Y-%m-%dT%H:%M}"
        place = f"{counter.scope}:{counter.scope_id}:{counter.model}:{counter.period}:{end}"
        details = {
            "threshold": threshold,
            "scope": counter.scope,
            "name": counter.name,
            "model": counter.model,
            "period": counter.period,
            "cap_nanousd": counter.cap,
            "posted_nanousd": counter.posted,
            "held_nanousd": counter.held,
            "is_refusing": counter.is_refusing,
            "ends_at": None if counter.period == "total" else counter.period_end.isoformat(),
        }
        told += tell(
            organization,
            wanted,
            kind=Notification.Kind.BUDGET,
            occasion=f"budget:{place}:{counter.cap}:{threshold}",
            key_id=counter.key_id,
            details=details,
        )
    return told


def _counters(organization: Organization, *, now: datetime) -> list[Counter]:
    values: dict[str, Any] = {
        "organization": organization.pk,
        "now": now,
        "two_days_ago": now - 2 * DAY,
        "lately": now - RECENT,
    }
    with connection.cursor() as cursor:
        cursor.execute(COUNTERS, values)
        return [Counter(*row) for row in cursor.fetchall()]


def highest(thresholds: list[int], *, percent: int) -> int | None:
    """Return the highest threshold that is reached: a jump over several is told once."""
    return max((t for t in thresholds if t <= percent), default=None)


def _wallet(
    organization: Organization, *, wanted: AlertSettings, now: datetime
) -> list[Notification]:
    wallet = Budget.objects.filter(
        organization=organization, scope=Budget.Scope.WALLET, model="", period="total"
    ).first()
    if wallet is None:
        return []
    watch = _watched(organization, wallet=wallet, now=now)
    left = watch.credited_nanousd - wallet.posted_nanousd
    if watch.base_nanousd <= 0 or not wanted.wallet:
        return []
    percent = (watch.base_nanousd - left) * 100 // watch.base_nanousd
    threshold = highest(wanted.thresholds, percent=percent)
    if threshold is None:
        return []
    return tell(
        organization,
        wanted,
        kind=Notification.Kind.WALLET,
        occasion=f"wallet:{watch.since.isoformat()}:{watch.credited_nanousd}:{threshold}",
        details={
            "threshold": threshold,
            "base_nanousd": watch.base_nanousd,
            "left_nanousd": left,
            "held_nanousd": wallet.held_nanousd,
        },
    )


def _watched(organization: Organization, *, wallet: Budget, now: datetime) -> WalletWatch:
    """
    Return the watch of a wallet as of now: begun anew where credit has come or gone since the last look.

    The base is what was there just before: what was spent since the last look counts as spent of it.
    """
    account = BillingAccount.objects.filter(organization=organization).first()
    cover = wallet.credited_nanousd + (account.credit_limit_nanousd if account else 0)
    watch = WalletWatch.objects.filter(organization=organization).first()
    posted_before = watch.posted_nanousd if watch else 0
    if watch is None or watch.credited_nanousd != cover:
        watch = WalletWatch(
            organization=organization,
            since=now,
            base_nanousd=cover - posted_before,
            credited_nanousd=cover,
        )
    watch.posted_nanousd = wallet.posted_nanousd
    watch.save()
    return watch


def _spikes(
    organization: Organization, *, wanted: AlertSettings, now: datetime
) -> list[Notification]:
    hour = now.replace(minute=0, second=0, microsecond=0)
    values: dict[str, Any] = {
        "organization": organization.pk,
        "hour": hour,
        "week_ago": hour - WEEK,
        "floor": settings.ALERT_SPIKE_FLOOR_NANOUSD,
    }
    with connection.cursor() as cursor:
        cursor.execute(SPENDING, values)
        rows = cursor.fetchall()
    told = []
    for key_id, created_at, present, before in rows:
        usual = usual_nanousd(before, since=max(created_at, hour - WEEK), hour=hour)
        if usual is not None and present >= settings.ALERT_SPIKE_TIMES * usual:
            figures = {"hour_nanousd": present, "usual_nanousd": usual}
            told += _spike(organization, wanted, key_id=key_id, figures=figures, now=now)
    return told


def usual_nanousd(before: int, *, since: datetime, hour: datetime) -> int | None:
    """
    Return what a key usually spends in an hour, in nano-USD: its mean since a moment, quiet hours included.

    None for a key that is not a day old, or that has spent nothing within its first week: it has no usual yet. One
    that was quiet for a whole week has: 0.
    """
    age = hour - since
    if age < DAY or (not before and age < WEEK):
        return None
    return before // max(1, int(age.total_seconds()) // 3600)


def _spike(
    organization: Organization,
    wanted: AlertSettings,
    *,
    key_id: int,
    figures: dict[str, int],
    now: datetime,
) -> list[Notification]:
    key = ApiKey.every.select_related("organization").get(pk=key_id)
    told = tell(
        organization,
        wanted,
        kind=Notification.Kind.SPIKE,
        occasion=f"spike:{key_id}:{now:%Y-%m-%d}",
        key_id=key_id,
        details={"name": key.name, **figures},
    )
    # Only with the first notice of a day: whoever unfreezes the key that day has decided.
    if told and wanted.freeze_on_spike and not key.is_seat:
        [notice] = told
        frozen = key_services.freeze_key(key, reason=DisabledReason.SPIKE, details=figures)
        notice.details["frozen"] = frozen
        notice.save(update_fields=["details"])
    return told


def tell(
    organization: Organization,
    wanted: AlertSettings,
    *,
    kind: Notification.Kind,
    occasion: str,
    details: dict[str, Any],
    key_id: int | None = None,
) -> list[Notification]:
    """Store a notification unless it is there; whoever stores it sends the mail. Returns what is new."""
    notice, is_new = Notification.objects.get_or_create(
        organization=organization,
        occasion=occasion,
        defaults={
            "kind": kind,
            "key_id": key_id,
            "details": details,
            "by_mail": wanted.by_mail,
        },
    )
    if not is_new:
        return []
    if notice.by_mail:
        enqueue("billing.mail_notification", notification_id=notice.pk)
    return [notice]
