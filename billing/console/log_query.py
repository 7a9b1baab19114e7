"""What an address of the request log says: its filters, its place, and the links to other ones."""

from dataclasses import replace

from django.http import QueryDict
from django.utils import timezone

from accounts.middleware import OrganizationRequest
from billing.console import page_query
from billing.models import UsageEvent
from billing.read_models import invoice_report, log_scan, periods
from billing.read_models.request_log import PLAYGROUND, REFUSED, LogFilters
from exerati.lib import money

STATUS_CHOICES = (
    ("", "Any status"),
    ("ok", "Successful"),
    ("error", "All errors"),
    ("4xx", "4xx"),
    ("5xx", "5xx"),
    (REFUSED, "Refused"),
)
MODE_CHOICES = (("", "Live and test"), ("live", "Live"), ("test", "Test"))
OUTCOME_CHOICES = (
    ("", "Any outcome"),
    *((value, label.capitalize()) for value, label in UsageEvent.Outcome.choices),
)
BASIS_CHOICES = (("", "Any basis"), *UsageEvent.Basis.choices)
COST_CHOICES = (
    ("", "Any cost"),
    *((usd, f"over ${usd}") for usd in ("0.0001", "0.001", "0.01", "0.1", "1", "10")),
)
FORM_FIELDS = ("model", "key", "project", "status", "outcome", "basis", "cost", "mode")
KEPT_FIELDS = ("member", "tag", "error", "line", "since", "until", "zone")
VIEW_FIELDS = (*FORM_FIELDS, *KEPT_FIELDS, "range", "q")  # what a saved view remembers
RANGES = (
    ("", "All time"),
    *((name, periods.TITLES[name]) for name in ("today", "24h", "7d", "30d")),
)


def filters(request: OrganizationRequest) -> LogFilters:
    """Return the filters of an address; a named range stands for its two times."""
    query = request.GET
    found = LogFilters(
        model=page_query.text(query, "model"),
        key=page_query.text(query, "key"),
        project=page_query.text(query, "project"),
        status=query.get("status", ""),
        outcome=_one_of(query, "outcome", UsageEvent.Outcome.values),
        basis=_one_of(query, "basis", UsageEvent.Basis.values),
        error=page_query.text(query, "error"),
        mode=_one_of(query, "mode", ["live", "test"]),
        search=page_query.text(query, "q"),
        member=page_query.member(request),
        tag=page_query.text(query, "tag"),
        cost_over_nanousd=_nanousd(query.get("cost", "")),
        since=page_query.moment(query.get("since", "")),
        until=page_query.moment(query.get("until", "")),
        line=invoice_report.line_id(request.organization, query.get("line", "")),
    )
    if query.get("range") not in periods.TITLES:
        return found
    chosen = periods.period(
        query["range"],
        now=timezone.now(),
        zone=page_query.zone(request),
        month_day=request.organization.month_day,
    )
    return replace(found, since=chosen.start, until=None)


def cursor(query: QueryDict) -> log_scan.Cursor | None:
    """Return the place that an address names, None for the newest rows."""
    if "newer" in query:
        return log_scan.parse_cursor(query.get("newer", ""), direction="newer")
    return log_scan.parse_cursor(query.get("older", ""), direction="older")


def range_links(query: QueryDict) -> list[page_query.Link]:
    """Return the ranges; a bucket of a chart, given by its times, is none of them."""
    present = query.get("range", "-" if query.get("since") else "")
    return page_query.links(
        query,
        name="range",
        choices=RANGES,
        present=present,
        since="",
        until="",
        older="",
        newer="",
    )


def set_filters(request: OrganizationRequest, *, scope: page_query.Scope) -> list[tuple[str, str]]:
    """Return (what, address without it) of each filter that the form does not show."""
    query = request.GET
    times = [page_query.moment(query.get(name, "")) for name in ("since", "until")]
    zone = page_query.zone(request)
    found = []
    if any(times):
        since, until = (
            f"{at.astimezone(zone):%d %b %H:%M}".lstrip("0") if at else "…" for at in times
        )
        found.append((f"{since} to {until}", _without(query, "since", "until")))
    if query.get("line"):
        found.append(("One line of an invoice", _without(query, "line")))
    if query.get("error"):
        found.append((f"Error {query['error']}", _without(query, "error")))
    if query.get("tag"):
        found.append((f"Tag {query['tag']}", _without(query, "tag")))
    member = page_query.member(request)
    if member in scope.members:
        found.append((f"Keys of {scope.members[member][1]}", _without(query, "member")))
    return found


def key_options(scope: page_query.Scope) -> list[page_query.Option]:
    """Return the keys to choose from, and the members' sessions beside them."""
    return [*scope.key_options, page_query.Option(PLAYGROUND, "Playground (sessions)")]


def view_query(query: QueryDict) -> str:
    """Return the part of an address that a saved view keeps: filters, not the place."""
    kept = QueryDict(mutable=True)
    for name in VIEW_FIELDS:
        if query.get(name):
            kept[name] = query.get(name, "")
    return kept.urlencode()


def _without(query: QueryDict, *names: str) -> str:
    return page_query.link(query, **dict.fromkeys((*names, "older", "newer"), ""))


def _one_of(query: QueryDict, name: str, values: list[str]) -> str:
    given = query.get(name, "")
    return given if given in values else ""


def _nanousd(text: str) -> int | None:
    """Return an amount in nano-USD, None for what is none."""
    try:
        return money.parse_usd(text) if text else None
    except ValueError:
        return None
