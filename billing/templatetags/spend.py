"""What pages of other apps show of money: billing's own partials use these tags."""

from collections import defaultdict
from dataclasses import dataclass

from django import template
from django.utils import timezone

from accounts.models import Project
from apikeys.models import ApiKey
from billing.read_models import key_report
from billing.read_models.budget_report import BudgetLine, budgets

register = template.Library()
ATTRIBUTE = "billing_budgets_by_key"
MEMBERS = "billing_spend_by_member"
PROJECTS = "billing_spend_by_project"


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


@dataclass(frozen=True, slots=True)
class MonthAndCaps:
    """What a project or a member was charged this month, and the caps of it."""

    month_nanousd: int
    lines: list[BudgetLine]


@register.simple_tag(takes_context=True)
def project_budgets(context: template.Context, project: Project) -> MonthAndCaps:
    """Return what a project spent and the caps it has; two queries for all projects of a page."""
    request = context["request"]
    found = getattr(request, PROJECTS, None)
    if found is None:
        now, lines = timezone.now(), defaultdict(list)
        for line in budgets(request.organization, now=now):
            if line.scope == "project":
                lines[line.public_id].append(line)
        found = key_report.spent_by_project(request.organization, now=now), lines
        setattr(request, PROJECTS, found)
    spent, by_project = found
    return MonthAndCaps(spent.get(project.pk, 0), by_project.get(project.public_id, []))


@register.simple_tag(takes_context=True)
def member_spend(context: template.Context, user_id: int, public_id: str) -> MonthAndCaps:
    """Return what the keys that a member made were charged, and the member's caps; two queries for a page."""
    request = context["request"]
    found = getattr(request, MEMBERS, None)
    if found is None:
        now, lines = timezone.now(), defaultdict(list)
        for line in budgets(request.organization, now=now):
            if line.scope == "member":
                lines[line.public_id].append(line)
        found = key_report.spent_by_member(request.organization, now=now), lines
        setattr(request, MEMBERS, found)
    spent, by_member = found
    return MonthAndCaps(spent.get(user_id, 0), by_member.get(public_id, []))


@register.simple_tag
def key_recent(key: ApiKey) -> key_report.Recent:
    """Return what a key was used for in the last 24 hours; one query."""
    return key_report.recent(key, now=timezone.now())


@register.simple_tag
def key_spent(key: ApiKey) -> key_report.Spent:
    """Return what a key was charged this day, week, month and ever; one query."""
    return key_report.spent(key, now=timezone.now())
