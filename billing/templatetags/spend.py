"""What pages of other apps show of money: billing's own partials use these tags."""

from collections import defaultdict

from django import template
from django.utils import timezone

from apikeys.models import ApiKey
from billing.budget_report import BudgetLine, budgets

register = template.Library()
ATTRIBUTE = "billing_budgets_by_key"


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
