"""HTML pages on which an owner ends an organization, and on which billing people name what receipts should show."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from accounts.middleware import OrganizationRequest
from accounts.permissions import Action, organization_page
from billing import closing, leaving, references
from billing.console.billing_views import page_frame
from billing.console.forms import ClosingForm, ReferencesForm


@require_http_methods(["GET", "HEAD", "POST"])
@organization_page(Action.MANAGE_OWNERS)
def close(request: OrganizationRequest) -> HttpResponse:
    """Say what ending the organization means and what is still open, and begin it on a POST."""
    organization = request.organization
    form = ClosingForm(request.POST or None, organization=organization)
    if request.method == "POST" and form.is_valid():
        try:
            closing.begin(organization, actor=request.user, now=timezone.now())
        except closing.IsClosing:
            messages.info(request, "The organization is ending already.")
        return redirect("dashboard:close", slug=organization.slug)
    context: dict[str, Any] = {
        **page_frame(request, present="billing_settings"),
        "form": form,
        "closing_at": closing.since(organization),
        "matters": leaving.open_matters(organization),
    }
    return render(request, "billing/close.html", context, status=422 if form.errors else 200)


@require_POST
@organization_page(Action.MANAGE_BILLING)
def change_references(request: OrganizationRequest) -> HttpResponse:
    """Store what invoices and receipts should show."""
    form = ReferencesForm(request.POST)
    if form.is_valid():
        references.change(request.organization, **form.cleaned_data, actor=request.user)
        messages.success(request, "Invoices and receipts show this from now on.")
    else:
        messages.error(request, "At most 60 characters each.")
    return redirect("dashboard:billing_settings", slug=request.organization.slug)
