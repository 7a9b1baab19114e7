"""HTML page on which an organization lets its wallet be filled by itself, or stops that."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from accounts.middleware import OrganizationRequest
from accounts.models import Organization
from accounts.permissions import Action, allows, organization_page
from billing import plans, stripe_client
from billing.console.billing_views import AWAY, page_frame, sends_to_stripe
from billing.console.forms import ReferencesForm
from billing.console.topup_forms import AutoTopUpForm
from billing.models import AutoTopUp
from billing.payments import auto_topups
from exerati.lib.money import NANOUSD_PER_CENT

FIRST = {"threshold": "5.00", "target": "25.00", "ceiling": "100.00"}  # what the form begins with
NO_CARD = (
    "No card is saved yet. Add credit once with “Keep the card for automatic top-ups”, or save a card under "
    "“Cards, address, tax id”, then come back."
)
NO_ADDRESS = (
    "Tax needs your billing address. Enter it under “Cards, address, tax id”, then come back."
)


@require_http_methods(["GET", "HEAD", "POST"])
@sends_to_stripe
@organization_page(Action.MANAGE_BILLING)
def billing_settings(request: OrganizationRequest) -> HttpResponse:
    """Show and store when the wallet fills itself."""
    plan: AutoTopUp | None = getattr(request.organization, "auto_topup", None)
    form = AutoTopUpForm(request.POST or None, initial=_initial(plan))
    if request.method == "POST" and form.is_valid() and _switch_on(request, form):
        messages.success(request, "Automatic top-up is on.")
        return redirect("dashboard:billing_settings", slug=request.organization.slug)
    spent = auto_topups.spent_cents(request.organization, now=timezone.now())
    context = {
        **page_frame(request, present="billing_settings"),
        "form": form,
        "plan": plan,
        "spent_nanousd": spent * NANOUSD_PER_CENT,
        "tax_is_on": settings.STRIPE_TAX,
        "references_form": ReferencesForm(initial=_references(request.organization)),
        "may_close": allows(request.membership.role, Action.MANAGE_OWNERS),
    }
    status = 422 if form.errors else 200
    return render(request, "billing/settings.html", context, status=status)


def _references(organization: Organization) -> dict[str, str]:
    row = plans.account(organization)
    return {"purchase_order": row.purchase_order, "cost_centre": row.cost_centre}


def _initial(plan: AutoTopUp | None) -> dict[str, Any]:
    if plan is None:
        return dict(FIRST)
    cents = {
        "threshold": plan.threshold_cents,
        "target": plan.target_cents,
        "ceiling": plan.ceiling_cents,
    }
    return {name: f"{value // 100}.{value % 100:02d}" for name, value in cents.items()}


def _switch_on(request: OrganizationRequest, form: AutoTopUpForm) -> bool:
    try:
        auto_topups.switch_on(request.organization, wish=form.wish, actor=request.user)
    except auto_topups.NoSavedCard:
        form.add_error(None, NO_CARD)
    except auto_topups.TaxNeedsAddress:
        form.add_error(None, NO_ADDRESS)
    except (stripe_client.StripeAway, stripe_client.NotAtStripe, stripe_client.Refused):
        form.add_error(None, AWAY)
    except stripe_client.PaymentsOff:
        form.add_error(None, "Payments are switched off on this site.")
    else:
        return True
    return False


@require_POST
@organization_page(Action.MANAGE_BILLING)
def auto_topup_off(request: OrganizationRequest) -> HttpResponse:
    """Stop filling the wallet by itself."""
    auto_topups.switch_off(request.organization, actor=request.user)
    messages.success(request, "Automatic top-up is off. No card is charged by itself any more.")
    return redirect("dashboard:billing_settings", slug=request.organization.slug)
