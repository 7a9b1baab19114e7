"""What the addresses of the usage and request pages say: filters read, links made, zones offered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar, cast
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.dateparse import parse_date, parse_datetime

from accounts.middleware import OrganizationRequest
from accounts.models import Organization
from billing.read_models import periods
from billing.read_models.periods import Period
from billing.read_models.reports import Filters

FILTERS = ("model", "key", "project", "member", "tag", "mode")
YEARS = range(2000, 2200)  # far from the edges at which arithmetic with zones overflows
Link = tuple[str, str, bool]  # label, address, whether it is the present one
Choice = TypeVar("Choice", bound=str)


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a filter."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Scope:
    """The keys, projects and members of an organization, for filters: row ids by public id, and their names."""

    keys: dict[str, tuple[int, str]]
    projects: dict[str, tuple[int, str]]
    members: dict[str, tuple[int, str]]

    def filters(self, query: QueryDict, *, member: str) -> Filters:
        """Return the filters of an address; an unknown key, project or member matches nothing."""
        given = {name: text(query, name) for name in FILTERS}
        return self.chosen(given | {"member": member})

    def chosen(self, given: Mapping[str, str]) -> Filters:
        """Return the filters of plain texts; an unknown key, project or member matches nothing."""
        return Filters(
            model=given["model"],
            mode=given["mode"] if given["mode"] in ("live", "test") else "",
            key=_row_id(self.keys, given["key"]),
            project=_row_id(self.projects, given["project"]),
            member=_row_id(self.members, given["member"]),
            tag=given["tag"],
        )

    @property
    def key_options(self) -> list[Option]:
        """Return the keys by name."""
        return [Option(ident, name) for ident, (_, name) in self.keys.items()]

    @property
    def project_options(self) -> list[Option]:
        """Return the projects by name."""
        return [Option(ident, name) for ident, (_, name) in self.projects.items()]

    @property
    def member_options(self) -> list[Option]:
        """Return the members by email address."""
        return [Option(ident, name) for ident, (_, name) in self.members.items()]


def scope(organization: Organization) -> Scope:
    """Return what the filters offer; runs three queries."""
    keys = organization.api_keys.order_by("name", "pk").values_list("public_id", "pk", "name")
    projects = organization.projects.order_by("name").values_list("public_id", "pk", "name")
    members = organization.memberships.order_by("user__email").values_list(
        "public_id", "user_id", "user__email"
    )
    return Scope(
        keys={ident: (pk, name) for ident, pk, name in keys},
        projects={ident: (pk, name) for ident, pk, name in projects},
        members={ident: (pk, name) for ident, pk, name in members},
    )


def _row_id(rows: dict[str, tuple[int, str]], ident: str) -> int | None:
    return rows.get(ident, (0, ""))[0] if ident else None


def text(query: QueryDict, name: str) -> str:
    """Return a parameter as text that PostgreSQL takes: without NUL, which it has no place for."""
    return query.get(name, "").replace("\x00", "").strip()


def link(query: QueryDict, **changes: str) -> str:
    """Return the address with some parameters changed; an empty one is left out."""
    changed = query.copy()
    for name, value in changes.items():
        if value:
            changed[name] = value
        else:
            changed.pop(name, None)
    return f"?{changed.urlencode()}"


def links(
    query: QueryDict, *, name: str, choices: Sequence[tuple[str, str]], present: str, **also: str
) -> list[Link]:
    """Return a link for each (value, label) of one parameter; `also` changes others along."""
    return [
        (label, link(query, **{name: value}, **also), value == present) for value, label in choices
    ]


def choice(query: QueryDict, name: str, choices: Sequence[Choice], *, default: Choice) -> Choice:
    """Return the parameter if it is one of the choices."""
    given = query.get(name, "")
    return cast(Choice, given) if given in choices else default


def moment(text: str) -> datetime | None:
    """Return a moment of our time with its zone, None for anything else."""
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    if found is None or found.tzinfo is None or found.year not in YEARS:
        return None
    return found


def day(text: str) -> date | None:
    """Return a day of our time, None for anything else."""
    try:
        found = parse_date(text)
    except ValueError:
        return None
    return found if found is not None and found.year in YEARS else None


def period(request: OrganizationRequest, *, now: datetime, step: str | None = None) -> Period:
    """Return the range of an address: `from` and `to` (days, both inside), else the one named by `range`."""
    query = request.GET
    first, last = day(query.get("from", "")), day(query.get("to", ""))
    step = query.get("step", "") if step is None else step
    if first or last:
        last = last or now.astimezone(zone(request)).date()
        return periods.between(first or last, last, now=now, zone=zone(request), step=step)
    return named_period(request, query.get("range", ""), now=now, step=step)


def named_period(
    request: OrganizationRequest, name: str, *, now: datetime, step: str = ""
) -> Period:
    """Return a range by its name, in the zone of the page and the organization's months."""
    month_day = request.organization.month_day
    return periods.period(name, now=now, zone=zone(request), step=step, month_day=month_day)


def member(request: OrganizationRequest) -> str:
    """Return the membership whose keys are asked for, the visitor's own for `me`."""
    given = text(request.GET, "member")
    return request.membership.public_id if given == "me" else given


def zone(request: OrganizationRequest) -> ZoneInfo:
    """Return the zone of the page: the organization's, or the visitor's or UTC where the address says so."""
    wanted = request.GET.get("zone", "")
    return ZoneInfo(dict(_zones(request)).get(wanted, request.organization.time_zone))


def own_zone(request: OrganizationRequest) -> ZoneInfo:
    """Return the organization's zone, in which its budgets' days and months begin."""
    return ZoneInfo(request.organization.time_zone)


def month_cap(organization: Organization, filters: Filters) -> int | None:
    """Return the month's budget that applies to all of what the filters show; one query for a key or project."""
    if filters.model or filters.member or filters.tag:
        return None
    scope: QuerySet[Any] | None = None
    if filters.key is not None:
        scope = organization.api_keys.filter(pk=filters.key)
    elif filters.project is not None:
        scope = organization.projects.filter(pk=filters.project)
    if scope is None:
        return organization.budget_month_nanousd
    return scope.values_list("budget_month_nanousd", flat=True).first()


def zone_links(request: OrganizationRequest) -> list[Link]:
    """Return the zones to choose from; a single one is no choice."""
    known = _zones(request)
    present = request.GET.get("zone", "")
    present = present if present in dict(known) else ""
    found = [(name, link(request.GET, zone=value), value == present) for value, name in known]
    return found if len(found) > 1 else []


def _zones(request: OrganizationRequest) -> list[tuple[str, str]]:
    """Return (parameter, name) of each zone once: the organization's, the visitor's, UTC."""
    named = {request.organization.time_zone: ""}
    named.setdefault(request.user.time_zone, "mine")
    named.setdefault("UTC", "utc")
    return [(value, name) for name, value in named.items()]
