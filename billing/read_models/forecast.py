"""
Where this month's spending is heading: what is spent, and for each day to come the mean of its weekday.

The mean is that of the last four weeks, complete days alone, from the first day with spending on; a weekday seen
less than twice takes the mean of all those days. Pure but for `read`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from accounts.models import Organization
from billing.read_models import periods, reports
from billing.read_models.reports import Filters

DAY = timedelta(days=1)
LOOK_BACK = timedelta(days=28)
SEEN = 2  # how often a weekday must have been seen to speak for itself


@dataclass(frozen=True, slots=True)
class Forecast:
    """The month `[first, after)` of an organization, today in it; sums by day in nano-USD, to come and past."""

    first: date
    after: date
    today: date
    spent: tuple[int, ...]  # from the first day to today, today's so far
    expected: tuple[int, ...]  # what is still to come: today's rest, then each day to the end

    @property
    def spent_nanousd(self) -> int:
        """Return what is spent so far."""
        return sum(self.spent)

    @property
    def end_nanousd(self) -> int:
        """Return what is expected at the end of the month."""
        return self.spent_nanousd + sum(self.expected)

    @property
    def days(self) -> list[date]:
        """Return all days of the month."""
        return [self.first + n * DAY for n in range((self.after - self.first).days)]

    def reached_on(self, cap_nanousd: int) -> date | None:
        """Return the day on which the sum reaches a cap, None where it is not expected to."""
        total = self.spent_nanousd
        for n, amount in enumerate(self.expected):
            total += amount
            if total >= cap_nanousd:
                return self.today + n * DAY
        return None


def read(
    organization: Organization, *, now: datetime, zone: ZoneInfo, filters: Filters
) -> Forecast | None:
    """Return the forecast of the organization's month, None where nothing speaks for one; runs one query."""
    today = now.astimezone(zone).date()
    first, after = periods.month_of(today, organization.month_day)
    known = periods.between(min(first, today - LOOK_BACK), today, now=now, zone=zone)
    found = reports.usage(
        organization, period=known, group="mode", filters=filters, since=known.start
    )
    by_day: dict[date, int] = {}
    for i, slot in enumerate(known.slots):
        amount = sum(row.buckets[i].spend for row in found.rows)
        by_day[slot.start.astimezone(zone).date()] = amount
    return predict(by_day, first=first, after=after, today=today)


def predict(
    by_day: Mapping[date, int], *, first: date, after: date, today: date
) -> Forecast | None:
    """Return the forecast from the sums of days; None without a complete day since the first spending."""
    began = min((day for day, amount in by_day.items() if amount), default=today)
    known = {
        day: amount
        for day, amount in by_day.items()
        if max(began, today - LOOK_BACK) <= day < today
    }
    if not known:
        return None
    spent = tuple(by_day.get(first + n * DAY, 0) for n in range((today - first).days + 1))
    rest = max(0, _mean(known, today) - spent[-1])
    to_come = tuple(_mean(known, today + n * DAY) for n in range(1, (after - today).days))
    return Forecast(first, after, today, spent, (rest, *to_come))


def _mean(known: Mapping[date, int], day: date) -> int:
    alike = [amount for other, amount in known.items() if other.weekday() == day.weekday()]
    amounts = alike if len(alike) >= SEEN else list(known.values())
    return sum(amounts) // len(amounts)
