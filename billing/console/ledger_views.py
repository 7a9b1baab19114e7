"""HTML pages of the ledger: every line of a wallet, the calls of one day, and all of it as CSV."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, timedelta
from typing import Any

from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_safe

from accounts.middleware import OrganizationRequest
from accounts.models import Organization
from accounts.permissions import Action, organization_page
from billing.console import page_query
from billing.console.billing_views import page_frame
from billing.read_models import ledger_report
from billing.read_models.ledger_report import KINDS, Range
from exerati import downloads
from exerati.lib import money
from exerati.lib.csv_text import spreadsheet_text

DAY = timedelta(days=1)
HEAD = ("time", "kind", "reason", "request", "amount_usd", "balance_usd")


@require_safe
@organization_page(Action.VIEW)
def ledger(request: OrganizationRequest) -> HttpResponse:
    """List what came into the wallet and went out of it, newest first, with the balance after each line."""
    shown = _range(request)
    lines, older = ledger_report.page(
        request.organization, shown=shown, before=_before(request.GET.get("before", ""))
    )
    query = request.GET
    context = {
        **page_frame(request, present="ledger"),
        "lines": lines,
        "kind_links": page_query.links(
            query,
            name="kind",
            choices=[("", "All"), *((name, words) for name, (words, _) in KINDS.items())],
            present=shown.kind,
            before="",
        ),
        "since": query.get("since", ""),
        "until": query.get("until", ""),
        "kind": shown.kind,
        "is_filtered": any(query.get(name) for name in ("kind", "since", "until")),
        "clear_url": reverse("dashboard:ledger", args=[request.organization.slug]),
        "csv_query": page_query.link(query, before=""),
        "older_url": page_query.link(query, before=f"{older[0]}_{older[1]}") if older else "",
        "newer_url": page_query.link(query, before="") if query.get("before") else "",
    }
    return render(request, "billing/ledger.html", context)


@require_safe
@organization_page(Action.VIEW)
def ledger_calls(request: OrganizationRequest) -> HttpResponse:
    """List the calls of one day, by default today, as they were posted, each with its request."""
    asked = request.GET.get("day", "")
    found = _day(asked) if asked else timezone.now().astimezone(UTC).date()
    if found is None:
        raise Http404
    before = request.GET.get("before", "")
    rows, older, (count, amount) = ledger_report.calls(
        request.organization,
        day=found,
        before=int(before) if before.isdecimal() and len(before) < 19 else None,
    )
    context = {
        **page_frame(request, present="ledger"),
        "day": found,
        "rows": rows,
        "count": count,
        "day_text": f"{found:%d %b %Y}".lstrip("0"),
        "taken_nanousd": -amount,
        "older_url": page_query.link(request.GET, before=str(older)) if older else "",
        "newer_url": page_query.link(request.GET, before="") if before else "",
    }
    return render(request, "billing/ledger_calls.html", context)


@require_safe
@organization_page(Action.VIEW)
def ledger_csv(request: OrganizationRequest) -> StreamingHttpResponse:
    """Download every posting of a range, oldest first, however many there are."""
    name = f"exerati-ledger-{request.organization.slug}.csv"
    rows = csv_rows(request.organization, shown=_range(request))
    return downloads.csv_response(request, name=name, rows=rows)


def csv_rows(organization: Organization, *, shown: Range) -> Iterator[Sequence[str]]:
    """Yield the head and a row for each posting; amounts are exact."""
    yield HEAD
    for posting in ledger_report.postings(organization, shown=shown):
        yield (
            posting.at.isoformat(timespec="milliseconds"),
            posting.kind,
            spreadsheet_text(posting.reason),
            posting.request_id,
            money.usd_text(posting.amount_nanousd),
            money.usd_text(posting.balance_nanousd),
        )


def _range(request: OrganizationRequest) -> Range:
    """Return the range of an address; the last day is inside it. What makes no sense is left out."""
    kind = request.GET.get("kind", "")
    since, until = (_day(request.GET.get(name, "")) for name in ("since", "until"))
    bounds: dict[str, Any] = {}
    if since:
        bounds["since"] = since
    if until:
        bounds["until"] = until + DAY
    return Range(**bounds, kind=kind if kind in KINDS else "")


def _day(text: str) -> date | None:
    try:
        found = parse_date(text)
    except ValueError:
        return None
    return found if found and found.year in page_query.YEARS else None


def _before(text: str) -> tuple[date, int] | None:
    """Return the line before which a page begins, None for the newest."""
    day, _, position = text.partition("_")
    found = _day(day)
    if found is None or not position.isdecimal() or len(position) > 18:
        return None
    return found, int(position)
