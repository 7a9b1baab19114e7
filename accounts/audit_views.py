"""HTML pages of the audit log: who did what, filtered, a page at a time, and as CSV."""

from collections.abc import Iterator

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts import audit_log
from accounts.audit_log import AuditFilters
from accounts.middleware import OrganizationRequest
from accounts.permissions import Action, organization_page
from exerati import downloads


@require_safe
@organization_page(Action.READ_AUDIT)
def audit(request: OrganizationRequest) -> HttpResponse:
    """Show a page of the audit log."""
    filters = _filters(request)
    page = audit_log.page(
        request.organization, filters=filters, before=request.GET.get("before", "")
    )
    query = request.GET.copy()
    query.pop("before", None)
    newest = f"?{query.urlencode()}"
    if page.older:
        query["before"] = page.older
    context = {
        "rows": page.rows,
        "filters": filters,
        "older_url": f"?{query.urlencode()}" if page.older else "",
        "newer_url": newest if request.GET.get("before") else "",
        "actions": audit_log.actions(request.organization),
        "actors": audit_log.actors(request.organization),
        "is_narrowed": filters != AuditFilters(),
        "csv_url": reverse("dashboard:audit_csv", args=[request.organization.slug])
        + f"?{query.urlencode()}",
        "team_url": reverse("dashboard:team", args=[request.organization.slug]),
        "nav_active": "team",
    }
    return render(request, "accounts/audit.html", context)


@require_safe
@organization_page(Action.READ_AUDIT)
def audit_csv(request: OrganizationRequest) -> HttpResponseBase:
    """Answer all of the log that passes the filters."""
    rows = audit_log.csv_rows(request.organization, filters=_filters(request))
    return downloads.csv_response(
        request, name=f"exerati-audit-{request.organization.slug}.csv", rows=rows
    )


def _filters(request: OrganizationRequest) -> AuditFilters:
    given: Iterator[str] = (
        request.GET.get(name, "").replace("\x00", "") for name in ("action", "actor", "target")
    )
    return AuditFilters(*given)
