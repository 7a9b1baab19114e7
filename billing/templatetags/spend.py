"""What pages of other apps show of money: billing's own partials use these tags."""

from collections import defaultdict

from django import template
from django.utils import timezone

from apikeys.models import ApiKey
from billing import key_report
from billing.budget_report import BudgetLine, budgets

register = template.Library()
ATTRIBUTE = "billing_budgets_by_key"
MEMBERS = "billing_spend_by_member"


@register.simple_tag(takes_context=True)
def key_budgets(context: template.Context, key: ApiKey) -> list[BudgetLine]:
    """Return the caps of a key with what is spent of them; one query for all keys of a page."""
    request = context["request"]
    lines: dict[str, list[BudgetLine]] | None = getattr(request, ATTRIBUTE, None)
    if lines is None:
        lines = defaultdict(list)
        for line in budgets(request.organization, now=timezone.now()):
            if line.scope == "key":
                lines[line.public_id].append(line)
        setattr(request, ATTRIBUTE, lines)
    return lines.get(key.public_id, [])


@register.simple_tag(takes_context=True)
def member_spend(context: template.Context, user_id: int) -> int:
    """Return what the keys that a member made were charged this month, in nano-USD; one query for a page."""
    request = context["request"]
    spent: dict[int, int] | None = getattr(request, MEMBERS, None)
    if spent is None:
        spent = key_report.spent_by_member(request.organization, now=timezone.now())
        setattr(request, MEMBERS, spent)
    return spent.get(user_id, 0)


@register.simple_tag
def key_recent(key: ApiKey) -> key_report.Recent:
    """Return what a key was used for in the last 24 hours; one query."""
    return key_report.recent(key, now=timezone.now())


@register.simple_tag
def key_spent(key: ApiKey) -> key_report.Spent:
    """Return what a key was charged this day, week, month and ever; one query."""
    return key_report.spent(key, now=timezone.now())
