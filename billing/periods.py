"""The time ranges of the usage pages: their buckets, their edges in UTC and the period before; pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Step = Literal["hour", "day"]

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
DEFAULT = "7d"
TITLES = {
    "today": "Today",
    "24h": "24 hours",
    "7d": "7 days",
    "30d": "30 days",
    "month": "This month",
}
HOURLY = ("today", "24h", "7d")  # longer ranges would have too many buckets
DAILY = ("7d", "30d", "month")


@dataclass(frozen=True, slots=True)
class Slot:
    """One bucket `[start, end)`, labelled in the zone of the range."""

    start: datetime
    end: datetime
    label: str


@dataclass(frozen=True, slots=True)
class Period:
    """
    A range `[start, end)` cut into buckets, and `[previous_start, previous_end)` to compare it with.

    The end lies ahead: the last bucket is still filling. The time before is therefore cut at the same point,
    as many hours into it as have passed of this one.
    """

    name: str
    step: Step
    zone: ZoneInfo
    slots: tuple[Slot, ...]
    previous_start: datetime
    previous_end: datetime

    @property
    def title(self) -> str:
        """Return the name for people."""
        return TITLES[self.name]

    @property
    def start(self) -> datetime:
        """Return the first moment."""
        return self.slots[0].start

    @property
    def end(self) -> datetime:
        """Return the first moment after."""
        return self.slots[-1].end

    @property
    def edges(self) -> list[datetime]:
        """Return the bounds of previous period, gap and buckets, in rising order."""
        return [self.previous_start, self.previous_end, *(s.start for s in self.slots), self.end]

    @property
    def cut_hours(self) -> list[datetime]:
        """Return the UTC hours that an edge cuts in two, so that an hourly sum does not serve."""
        hours = {_hour(edge) for edge in self.edges if edge != _hour(edge)}
        return sorted(hours)


def period(
    name: str, *, now: datetime, zone: ZoneInfo, step: str = "", month_day: int = 1
) -> Period:
    """
    Return the range of that name around now; an unknown name is the default, an unfit step the range's own.

    Days begin at midnight in the zone, months on `month_day`; "24h" is the hour that runs and 23 before.
    """
    name = name if name in TITLES else DEFAULT
    chosen = _step(name, step)
    local = now.astimezone(zone)
    today = local.date()
    if name == "24h":
        start, end = _hour(now) - 23 * HOUR, _hour(now) + HOUR
        return _period(name, chosen, zone, bounds=(start, end), previous=start - DAY, now=now)
    first, before = {
        "today": (today, today - DAY),
        "7d": (today - 6 * DAY, today - 13 * DAY),
        "30d": (today - 29 * DAY, today - 59 * DAY),
        "month": _months(today, month_day),
    }[name]
    bounds = (_midnight(first, zone), _midnight(today + DAY, zone))
    return _period(name, chosen, zone, bounds=bounds, previous=_midnight(before, zone), now=now)


def _period(
    name: str,
    step: Step,
    zone: ZoneInfo,
    *,
    bounds: tuple[datetime, datetime],
    previous: datetime,
    now: datetime,
) -> Period:
    start, end = bounds
    make: Callable[..., Iterator[Slot]] = _hours if step == "hour" else _days
    return Period(
        name=name,
        step=step,
        zone=zone,
        slots=tuple(make(start, end, zone=zone)),
        previous_start=previous,
        previous_end=min(previous + (now - start), start),
    )


def _step(name: str, wanted: str) -> Step:
    if name not in DAILY or (wanted == "hour" and name in HOURLY):
        return "hour"
    return "day"


def _months(today: date, month_day: int) -> tuple[date, date]:
    """Return the first days of this budget month and of the one before; `month_day` is 28 at most."""
    first = today.replace(day=month_day)
    if first > today:
        first = _month_before(first)
    return first, _month_before(first)


def _month_before(day: date) -> date:
    return (day.replace(day=1) - DAY).replace(day=day.day)


def _hours(start: datetime, end: datetime, *, zone: ZoneInfo) -> Iterator[Slot]:
    while start < end:
        local = start.astimezone(zone)
        yield Slot(start, start + HOUR, f"{local:%d %b, %H:%M}".lstrip("0"))
        start += HOUR


def _days(start: datetime, end: datetime, *, zone: ZoneInfo) -> Iterator[Slot]:
    while start < end:
        day = start.astimezone(zone).date()
        following = _midnight(day + DAY, zone)
        yield Slot(start, following, f"{day:%d %b}".lstrip("0"))
        start = following


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the first moment of a day in UTC; days of 23 and 25 hours come out right."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def _hour(moment: datetime) -> datetime:
    """Return the start of the UTC hour."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
