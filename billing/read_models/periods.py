"""The time ranges of the usage pages: their buckets, their edges in UTC and the period before; pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Literal
from zoneinfo import ZoneInfo

Step = Literal["minute", "hour", "day"]

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
DEFAULT = "7d"
CUSTOM = "custom"
MAX_DAYS = (
    400  # of a range with dates; so that 13 months stand side by side. Nothing deletes events
)
MAX_HOURLY_DAYS = 31
TITLES = {
    "1h": "60 minutes",
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
        return TITLES.get(self.name) or self.dates

    @property
    def dates(self) -> str:
        """Return the first and the last day, in the zone."""
        first = self.start.astimezone(self.zone)
        last = (self.end - timedelta(microseconds=1)).astimezone(self.zone)
        texts = [f"{moment:%d %b %Y}".lstrip("0") for moment in (first, last)]
        return texts[0] if texts[0] == texts[1] else " to ".join(texts)

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

    @property
    def cut_days(self) -> list[datetime]:
        """Return the UTC days, by their midnight, that an edge cuts in two, so that a daily sum does not serve."""
        days = {_day(edge) for edge in self.edges if edge != _day(edge)}
        return sorted(days)


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
    if name == "1h":
        start, end = _minute(now) - 59 * MINUTE, _minute(now) + MINUTE
        return _period(name, chosen, zone, bounds=(start, end), previous=start - HOUR, now=now)
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


def between(
    first: date, last: date, *, now: datetime, zone: ZoneInfo, step: str = "", name: str = CUSTOM
) -> Period:
    """
    Return the days from `first` to `last`, both inside, and as many before them to compare with.

    Days that have not yet begun are left out, at most `MAX_DAYS` are shown, the newest.
    """
    last = min(last, now.astimezone(zone).date())
    first = max(min(first, last), last - (MAX_DAYS - 1) * DAY)
    days = (last - first).days + 1
    chosen: Step = "hour" if step == "hour" and days <= MAX_HOURLY_DAYS else "day"
    return _period(
        name,
        chosen,
        zone,
        bounds=(_midnight(first, zone), _midnight(last + DAY, zone)),
        previous=_midnight(first - days * DAY, zone),
        now=now,
    )


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
    make = _MAKE[step]
    return Period(
        name=name,
        step=step,
        zone=zone,
        slots=tuple(make(start, end, zone=zone)),
        previous_start=previous,
        previous_end=min(previous + (now - start), start),
    )


def _step(name: str, wanted: str) -> Step:
    if name == "1h":
        return "minute"
    if name not in DAILY or (wanted == "hour" and name in HOURLY):
        return "hour"
    return "day"


def month_of(today: date, month_day: int) -> tuple[date, date]:
    """Return the first day of the budget month that a day lies in, and the first day after it."""
    first, _ = _months(today, month_day)
    after = (first.replace(day=1) + 31 * DAY).replace(day=month_day)
    return first, after


def before(period: Period) -> Period:
    """Return the time before a range as a range of its own, with buckets of the same size."""
    made = _MAKE[period.step](period.previous_start, period.start, zone=period.zone)
    slots = tuple(islice(made, len(period.slots)))
    return Period(
        period.name, period.step, period.zone, slots, period.previous_start, period.previous_start
    )


def buckets(start: datetime, end: datetime, *, zone: ZoneInfo, step: Step, limit: int) -> Period:
    """Return at most so many buckets of a size that hold the moments from `start` on, up to `end`; none before."""
    first = {
        "minute": _minute(start),
        "hour": _hour(start),
        "day": _midnight(start.astimezone(zone).date(), zone),
    }[step]
    slots = tuple(islice(_MAKE[step](first, end, zone=zone), limit))
    return Period(CUSTOM, step, zone, slots, first, first)


def pieces(period: Period, *, step: Step) -> Iterator[Period]:
    """Yield a range piece by piece, in buckets of one size, so that each piece is small enough for one query."""
    start = period.start
    while start < period.end:
        end = min(_later(start, period.zone, step), period.end)
        slots = tuple(_MAKE[step](start, end, zone=period.zone))
        yield Period(period.name, step, period.zone, slots, start, start)
        start = end


def _later(start: datetime, zone: ZoneInfo, step: Step) -> datetime:
    """Return where the piece that begins here ends: 3 hours of minutes, a week of hours, 31 days."""
    if step == "minute":
        return _hour(start) + 3 * HOUR
    day = start.astimezone(zone).date()
    return _midnight(day + (7 if step == "hour" else 31) * DAY, zone)


def _months(today: date, month_day: int) -> tuple[date, date]:
    """Return the first days of this budget month and of the one before; `month_day` is 28 at most."""
    first = today.replace(day=month_day)
    if first > today:
        first = _month_before(first)
    return first, _month_before(first)


def _month_before(day: date) -> date:
    return (day.replace(day=1) - DAY).replace(day=day.day)


def _minutes(start: datetime, end: datetime, *, zone: ZoneInfo) -> Iterator[Slot]:
    while start < end:
        yield Slot(start, start + MINUTE, f"{start.astimezone(zone):%H:%M}")
        start += MINUTE


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


_MAKE: dict[Step, Callable[..., Iterator[Slot]]] = {
    "minute": _minutes,
    "hour": _hours,
    "day": _days,
}


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the first moment of a day in UTC; days of 23 and 25 hours come out right."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def _minute(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


def _hour(moment: datetime) -> datetime:
    """Return the start of the UTC hour."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _day(moment: datetime) -> datetime:
    """Return the start of the UTC day."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
