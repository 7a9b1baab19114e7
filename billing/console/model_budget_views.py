"""HTML page of what one key may spend on single models, and has."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from accounts.middleware import OrganizationRequest
from accounts.permissions import Action, organization_page
from apikeys import services
from apikeys.models import ApiKey
from apikeys.views import find_key
from billing.console.forms import ModelBudgetForm
from billing.read_models import budget_report


@require_http_methods(["GET", "HEAD", "POST"])
@organization_page(Action.MANAGE_KEYS)
def model_budgets(request: OrganizationRequest, *, public_id: str) -> HttpResponse:
    """Show the caps of a key on single models, and set or take away one."""
    key = find_key(request, public_id=public_id)
    form = ModelBudgetForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return _page(request, key=key, form=form)
    asked = form.cleaned_data
    try:
        services.set_model_budget(
            key,
            model=asked["model"],
            period=asked["period"],
            cap_nanousd=asked["cap"],
            actor=request.user,
        )
    except services.KeyRevoked:
        messages.error(request, "This key is revoked, so it cannot be changed.")
    else:
        messages.success(request, "Saved. The next call meets the budget.")
    return redirect("dashboard:key_models", slug=request.organization.slug, public_id=public_id)


def _page(request: OrganizationRequest, *, key: ApiKey, form: ModelBudgetForm) -> HttpResponse:
    lines = budget_report.binding(key, now=timezone.now())
    context = {
        "key": key,
        "heading": f"Model budgets of {key.name}",
        "form": form,
        "lines": [line for line in lines if line.scope == "key_model"],
        "nav_active": "keys",
    }
    status = 422 if form.errors else 200
    return render(request, "billing/model_budgets.html", context, status=status)
