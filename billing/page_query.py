"""What the addresses of the usage and request pages say: filters read, links made, zones offered."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar, cast
from zoneinfo import ZoneInfo

from django.http import QueryDict
from django.utils.dateparse import parse_datetime

from accounts.middleware import OrganizationRequest
from accounts.models import Organization
from billing.reports import Filters

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
    """The keys and projects of an organization, for filters: row ids by public id, and their names."""

    keys: dict[str, tuple[int, str]]
    projects: dict[str, tuple[int, str]]

    def filters(self, query: QueryDict) -> Filters:
        """Return the filters of an address; an unknown key or project matches nothing."""
        return Filters(
            model=text(query, "model"),
            mode=query.get("mode", "") if query.get("mode") in ("live", "test") else "",
            key=_row_id(self.keys, query.get("key", "")),
            project=_row_id(self.projects, query.get("project", "")),
        )

    @property
    def key_options(self) -> list[Option]:
        """Return the keys by name."""
        return [Option(ident, name) for ident, (_, name) in self.keys.items()]

    @property
    def project_options(self) -> list[Option]:
        """Return the projects by name."""
        return [Option(ident, name) for ident, (_, name) in self.projects.items()]


def scope(organization: Organization) -> Scope:
    """Return what the filters offer; runs two queries."""
    keys = organization.api_keys.order_by("name", "pk").values_list("public_id", "pk", "name")
    projects = organization.projects.order_by("name").values_list("public_id", "pk", "name")
    return Scope(
        keys={ident: (pk, name) for ident, pk, name in keys},
        projects={ident: (pk, name) for ident, pk, name in projects},
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


def zone(request: OrganizationRequest) -> ZoneInfo:
    """Return the zone of the page: the organization's, or the visitor's or UTC where the address says so."""
    wanted = request.GET.get("zone", "")
    return ZoneInfo(dict(_zones(request)).get(wanted, request.organization.time_zone))


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
