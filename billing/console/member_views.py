"""HTML page of one member's budgets: what the member's keys may spend together, and what they have."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from accounts import services
from accounts.middleware import OrganizationRequest
from accounts.models import Membership
from accounts.permissions import Action, organization_page
from accounts.team_views import changeable_member
from billing.console.forms import MemberBudgetForm
from billing.read_models import budget_report

PERIODS = ("day", "week", "month")


@require_http_methods(["GET", "HEAD", "POST"])
@organization_page(Action.MANAGE_MEMBERS)
def member_budget(request: OrganizationRequest, *, public_id: str) -> HttpResponse:
    """Show and change the caps on all keys of a member; an owner's are changed by owners alone."""
    member = changeable_member(request, public_id=public_id)
    present = {period: getattr(member, f"budget_{period}_nanousd") for period in PERIODS}
    form = MemberBudgetForm(request.POST or None, initial=present)
    if request.method == "POST" and form.is_valid():
        services.change_budgets(member, budgets=form.cleaned_data, actor=request.user)
        messages.success(
            request, f"Saved. The next call of a key of {member.user} meets the budget."
        )
        return redirect("dashboard:team", slug=request.organization.slug)
    return _page(request, member=member, form=form)


def _page(
    request: OrganizationRequest, *, member: Membership, form: MemberBudgetForm
) -> HttpResponse:
    lines = budget_report.budgets(request.organization, now=timezone.now())
    keys = request.organization.api_keys.filter(created_by=member.user, revoked_at=None)
    usage_url = reverse("dashboard:usage", args=[request.organization.slug])
    context = {
        "member": member,
        "heading": f"Budget of {member.user}",
        "form": form,
        "lines": [line for line in lines if line.public_id == member.public_id],
        "keys": keys.order_by("-created_at"),
        "usage_url": f"{usage_url}?member={member.public_id}",
        "nav_active": "team",
    }
    status = 422 if form.errors else 200
    return render(request, "billing/member_budget.html", context, status=status)
