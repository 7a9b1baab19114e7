"""
The billing periods of postpaid organizations: half-open times in UTC that follow each other without a gap.

The organization's time zone and month day pick only the boundaries, and only when a period is opened: a later change
holds from the next one on.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F

from accounts.models import Organization
from billing import ledger
from billing.models import BillingAccount, BillingPeriod
from exerati.lib.money import NANOUSD_PER_CENT

GRACE = timedelta(hours=1)  # calls that were admitted before the end are settled by then
SHORTEST = timedelta(days=2)  # between two months a change of the time zone may leave a few hours

State = BillingPeriod.State
End = BillingPeriod.End


def database_now() -> datetime:
    """Return the time by the database's clock, which all servers share."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        row = cursor.fetchone()
    assert row is not None  # noqa: S101  a SELECT of a value gives one row
    moment: datetime = row[0]
    return moment


def month_end(organization: Organization, moment: datetime) -> datetime:
    """Return the end of the organization's month that holds a moment."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT period_end FROM billing_period('month', %s, %s, %s, %s)",
            [moment, organization.time_zone, organization.week_start, organization.month_day],
        )
        row = cursor.fetchone()
    assert row is not None  # noqa: S101  the function gives one row
    end: datetime = row[0]
    return end


def open_first(organization: Organization, *, now: datetime) -> BillingPeriod:
    """Open the period of an organization that pays afterwards from now on. Belongs into a transaction."""
    return _open(organization, start=now, end=month_end(organization, now))


def leave(organization: Organization, *, now: datetime) -> None:
    """End the present period now, and open none after it. Belongs into a transaction."""
    present = BillingPeriod.objects.filter(organization=organization, state=State.OPEN).first()
    if present:
        _end(present, period_end=now, ended_by=End.LEFT)


@transaction.atomic
def end_early(period: BillingPeriod, *, now: datetime) -> bool:
    """End a period now and open the rest of its month; return whether it was still open."""
    organization = period.organization
    ledger.lock_wallet(organization.pk)
    month = period.period_end
    if now >= month or not _end(period, period_end=now, ended_by=End.EARLY):
        return False
    _open(organization, start=now, end=month)
    return True


@transaction.atomic
def roll_over(period: BillingPeriod, *, now: datetime) -> bool:
    """End a period whose time is over and open the next one; return whether that was still to be done."""
    organization = period.organization
    ledger.lock_wallet(organization.pk)
    start = period.period_end
    if start > now or not _end(period, period_end=start, ended_by=End.MONTH):
        return False
    end = month_end(organization, start)
    if end - start < SHORTEST:
        end = month_end(organization, end)
    _open(organization, start=start, end=end)
    return True


def used_in(period: BillingPeriod) -> int:
    """Return what a period has used so far, by the wallet's counter."""
    end = period.posted_at_end_nanousd
    return (_posted(period.organization) if end is None else end) - period.posted_at_start_nanousd


def used_nanousd(organization: Organization) -> int:
    """Return what the periods that have no invoice yet have used, by the wallet's counter."""
    unsealed = BillingPeriod.objects.filter(organization=organization).exclude(state=State.SEALED)
    return sum(used_in(period) for period in unsealed.select_related("organization"))


def run_out(now: datetime) -> list[BillingPeriod]:
    """Return the open periods whose time is over."""
    found = BillingPeriod.objects.filter(state=State.OPEN, period_end__lte=now)
    return list(found.select_related("organization").order_by("period_end"))


def too_large() -> list[BillingPeriod]:
    """Return the open periods that have used so much of the credit limit that they are to be billed early."""
    found = BillingPeriod.objects.filter(
        state=State.OPEN,
        organization__billing_account__plan=BillingAccount.Plan.POSTPAID,
        organization__billing_account__blocked_at=None,
    ).select_related("organization__billing_account")
    return [period for period in found if _is_too_large(period)]


def _is_too_large(period: BillingPeriod) -> bool:
    limit = period.organization.billing_account.agreed_limit_nanousd
    most = max(
        limit * settings.INVOICE_EARLY_PERCENT // 100,
        settings.INVOICE_LEAST_CENTS * NANOUSD_PER_CENT,
    )
    return used_in(period) >= most


def to_close(now: datetime) -> list[int]:
    """Return the periods to close: of each organization the oldest that is not sealed, once its grace is over."""
    found = BillingPeriod.objects.exclude(state=State.SEALED).order_by(
        "organization_id", "period_start"
    )
    oldest = found.distinct("organization_id")
    return [period.pk for period in oldest if is_due(period, now=now)]


def is_due(period: BillingPeriod, *, now: datetime) -> bool:
    """Say whether a period may be closed: it has ended, and what was admitted in it has had time to settle."""
    grace = timedelta(0) if period.ended_by == End.EARLY else GRACE
    return period.state == State.CLOSING and period.period_end + grace <= now


def _open(organization: Organization, *, start: datetime, end: datetime) -> BillingPeriod:
    return BillingPeriod.objects.create(
        organization=organization,
        period_start=start,
        period_end=end,
        posted_at_start_nanousd=_posted(organization),
    )


def _end(period: BillingPeriod, *, period_end: datetime, ended_by: str) -> bool:
    """End a period that is still open; one of many who try wins."""
    found = BillingPeriod.objects.filter(pk=period.pk, state=State.OPEN)
    return bool(
        found.update(
            state=State.CLOSING,
            period_end=period_end,
            ended_by=ended_by,
            posted_at_end_nanousd=_posted(period.organization),
        )
    )


def _posted(organization: Organization) -> int:
    wallets = ledger.wallets(organization.pk)
    return wallets.values_list(F("posted_nanousd"), flat=True).first() or 0
