"""HTML page of an organization's money: what its wallet holds and where it comes from."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.middleware import OrganizationRequest
from accounts.permissions import Action, organization_page
from billing import billing_tabs, budget_report, page_words, stripe_client


@require_safe
@organization_page(Action.VIEW)
def billing(request: OrganizationRequest) -> HttpResponse:
    """Show the balance."""
    organization, role = request.organization, request.membership.role
    wallet = budget_report.wallet(organization)
    context = {
        "tabs": billing_tabs.tabs(organization, role=role, present="billing"),
        "wallet": wallet,
        "balance_note": page_words.balance_note(wallet),
        "payments_are_on": stripe_client.is_on(),
        "nav_active": "billing",
    }
    return render(request, "billing/billing.html", context)
