"""
Read models of the status page: our own components over 90 days, providers as the gateway meets them, incidents.

A page is made at most once in some seconds for each process, and the last one is shown while the database is away,
since that is when people look.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal

from django.db import Error, connection
from django.db.models import Prefetch, Q
from django.utils import timezone

from gateway.models import Incident, IncidentUpdate, ProbeMinute, Provider, Route
from gateway.routes import route_stats
from gateway.routes.route_stats import Figures
from gateway.snapshot import route_key

DAYS: Final = 90
CACHED_SECONDS: Final = 20.0
LATE: Final = timedelta(minutes=4)  # a probe runs each minute; older than this, nobody knows
State = Literal["works", "fails", "unknown"]
_DAYS_QUERY: Final = """
SELECT component, (at AT TIME ZONE 'UTC')::date, count(*) FILTER (WHERE works), count(*)
FROM gateway_probeminute WHERE at >= %s GROUP BY 1, 2
"""
_LAST_QUERY: Final = """
SELECT DISTINCT ON (component) component, at, works, took_ms FROM gateway_probeminute
WHERE at >= %s ORDER BY component, at DESC
"""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a component: minutes in which it worked, and minutes of which anything is known."""

    on: date
    works: int
    known: int

    @property
    def percent(self) -> float | None:
        """Return the share of known minutes in which it worked; rounded down, so that 100 is all of them."""
        return int(10_000 * self.works / self.known) / 100 if self.known else None


@dataclass(frozen=True, slots=True)
class Component:
    """One of our own parts: how it is now, and its days, oldest first."""

    name: str
    title: str
    state: State
    took_ms: int | None
    days: tuple[Day, ...]

    @property
    def percent(self) -> float | None:
        """Return the uptime over all the days."""
        known = sum(day.known for day in self.days)
        return Day(date.min, sum(day.works for day in self.days), known).percent


@dataclass(frozen=True, slots=True)
class ProviderHealth:
    """How calls to one provider went, over all its routes."""

    title: str
    calls: int
    uptime_percent: float
    hour_percent: float | None
    first_token_ms: int | None
    tokens_per_second: float | None


@dataclass(frozen=True, slots=True)
class Status:
    """All of the page; `made_at` is when it was true."""

    made_at: datetime
    components: tuple[Component, ...]
    providers: tuple[ProviderHealth, ...]
    open_incidents: tuple[Incident, ...]
    past_incidents: tuple[Incident, ...]

    @property
    def state(self) -> State:
        """Return the worst of all components and of critical or major incidents."""
        states = {component.state for component in self.components}
        grave = (Incident.Impact.MAJOR, Incident.Impact.CRITICAL)
        if "fails" in states or any(one.impact in grave for one in self.open_incidents):
            return "fails"
        return "unknown" if "unknown" in states else "works"


_last: Status | None = None
_last_at = float("-inf")


def current() -> Status:
    """Return the status, at most CACHED_SECONDS old unless the database is away; runs four queries and reads Redis."""
    global _last, _last_at
    now = time.monotonic()
    if _last is not None and now - _last_at < CACHED_SECONDS:
        return _last
    try:
        _last, _last_at = read(timezone.now()), now
    except Error as error:
        logger.warning("the status page is shown from memory: %s", error)
        return _without_database()
    return _last


def forget() -> None:
    """Make the next page anew."""
    global _last
    _last = None


def _without_database() -> Status:
    """Return the last page with what is certain: the database does not answer."""
    shown = _last or Status(timezone.now(), tuple(_components({}, {}, timezone.now())), (), (), ())
    return replace(
        shown,
        components=tuple(
            replace(one, state="fails") if one.name == ProbeMinute.Component.DATABASE else one
            for one in shown.components
        ),
    )


def read(now: datetime) -> Status:
    """Return the status as of now."""
    told = IncidentUpdate.objects.order_by("-at")
    shown = Q(resolved_at=None) | Q(started_at__gte=now - timedelta(days=DAYS))
    incidents = Incident.objects.filter(shown).prefetch_related(Prefetch("updates", told))
    newest_first = list(incidents.order_by("-started_at"))
    return Status(
        made_at=now,
        components=tuple(_components(*_probes(now), now)),
        providers=tuple(_providers(now)),
        open_incidents=tuple(one for one in newest_first if one.resolved_at is None),
        past_incidents=tuple(one for one in newest_first if one.resolved_at is not None),
    )


Days = dict[str, dict[date, Day]]
Latest = dict[str, tuple[datetime, bool, int]]


def _probes(now: datetime) -> tuple[Days, Latest]:
    """Return the days of each component, and its newest minute."""
    days: Days = defaultdict(dict)
    with connection.cursor() as cursor:
        cursor.execute(_DAYS_QUERY, [_first_day(now)])
        for component, on, works, known in cursor.fetchall():
            days[component][on] = Day(on, works, known)
        cursor.execute(_LAST_QUERY, [now - LATE])
        latest: Latest = {row[0]: row[1:] for row in cursor.fetchall()}
    return days, latest


def _components(days: Days, latest: Latest, now: datetime) -> Iterable[Component]:
    first = _first_day(now).date()
    for name, title in ProbeMinute.Component.choices:
        known = days.get(name, {})
        dates = (first + timedelta(days=number) for number in range(DAYS))
        _, works, took_ms = latest.get(name, (now, None, None))
        yield Component(
            name=name,
            title=title,
            state="unknown" if works is None else "works" if works else "fails",
            took_ms=took_ms,
            days=tuple(known.get(on, Day(on, 0, 0)) for on in dates),
        )


def _first_day(now: datetime) -> datetime:
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=DAYS - 1)


def _providers(now: datetime) -> list[ProviderHealth]:
    """Return every provider that was called in the last day, the most called first."""
    keys: dict[str, list[str]] = defaultdict(list)
    routes = Route.objects.exclude(provider__api=Provider.Api.SANDBOX).select_related("provider")
    for route in routes:
        keys[route.provider.title].append(route_key(route.provider.name, route.upstream_model))
    figures = route_stats.read(
        [key for of_one in keys.values() for key in of_one], now=now.timestamp()
    )
    found = (
        _health(title, [figures[key] for key in of_one if key in figures])
        for title, of_one in keys.items()
    )
    return sorted((one for one in found if one), key=lambda one: -one.calls)


def _health(title: str, routes: Sequence[dict[str, Figures]]) -> ProviderHealth | None:
    day = [spans["24h"] for spans in routes]
    uptime = _mean(day, "uptime_percent")
    if uptime is None:
        return None
    hour = [spans["1h"] for spans in routes]
    first_token_ms = _mean(hour, "first_token_ms")
    return ProviderHealth(
        title=title,
        calls=sum(one.calls for one in day),
        uptime_percent=int(uptime * 100) / 100,
        hour_percent=_mean(hour, "uptime_percent"),
        first_token_ms=None if first_token_ms is None else round(first_token_ms),
        tokens_per_second=_mean(hour, "tokens_per_second"),
    )


def _mean(figures: Sequence[Figures], field: str) -> float | None:
    """Return the mean over the routes that have the figure, each by the number of its calls."""
    known = [(getattr(one, field), one.calls) for one in figures if getattr(one, field) is not None]
    calls = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / calls if calls else None
