"""HTML pages of invoices: the list with the period so far, one invoice with every line, and its lines as CSV."""

import csv

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.middleware import OrganizationRequest
from accounts.models import Organization
from accounts.permissions import Action, last_organization, organization_page
from billing import plans
from billing.console import billing_tabs, page_query
from billing.models import BillingAccount
from billing.read_models import invoice_report


@require_safe
@organization_page(Action.VIEW)
def invoices(request: OrganizationRequest) -> HttpResponse:
    """Show the period so far, what is to be paid, and every invoice."""
    organization = request.organization
    account = plans.account(organization)
    context = {
        "tabs": _tabs(request),
        "rows": invoice_report.listed(organization),
        "present": invoice_report.present(organization, now=timezone.now()),
        "owed": invoice_report.latest_owed(organization),
        "account": account,
        "is_postpaid": account.plan == BillingAccount.Plan.POSTPAID,
        "nav_active": "billing",
    }
    with timezone.override(page_query.zone(request)):
        return render(request, "billing/invoices.html", context)


@require_safe
@organization_page(Action.VIEW)
def invoice(request: OrganizationRequest, public_id: str) -> HttpResponse:
    """Show one invoice: its lines, each leading to its requests, and who spent it."""
    context = {
        "tabs": _tabs(request),
        "page": _page(request, public_id),
        "account": plans.account(request.organization),
        "nav_active": "billing",
    }
    with timezone.override(page_query.zone(request)):
        return render(request, "billing/invoice.html", context)


@require_safe
@organization_page(Action.VIEW)
def invoice_csv(request: OrganizationRequest, public_id: str) -> HttpResponse:
    """Download the lines of an invoice and what each key spent."""
    page = _page(request, public_id)
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="exerati-{page.row.id}.csv"'
    csv.writer(response).writerows(invoice_report.csv_rows(page))
    return response


@require_safe
@login_required
def own_invoices(request: HttpRequest) -> HttpResponse:
    """Lead to the invoices of the organization that the member saw last: for links that know no organization."""
    return redirect("dashboard:invoices", slug=_seen_last(request).slug)


@require_safe
@login_required
def own_billing(request: HttpRequest) -> HttpResponse:
    """Lead to the credit of the organization that the member saw last."""
    return redirect("dashboard:billing", slug=_seen_last(request).slug)


def _seen_last(request: HttpRequest) -> Organization:
    """Return the organization that a member saw last, else the first; raises Http404 where there is none."""
    own = last_organization(request)
    if own is None:
        raise Http404
    return own


def _page(request: OrganizationRequest, public_id: str) -> invoice_report.Page:
    found = invoice_report.page(request.organization, public_id)
    if found is None:
        raise Http404
    return found


def _tabs(request: OrganizationRequest) -> list[page_query.Link]:
    return billing_tabs.tabs(request.organization, role=request.membership.role, present="invoices")
