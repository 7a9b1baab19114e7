"""
What `/v1/key` says of the key that asks: rules, caps with their counters, and what it was charged.

The caps are all that bind its calls (its own, its project's, its organization's): a refused call would tell the same.
The organization's credit is not told, since a key is often in other hands than the organization's.
"""

from datetime import datetime
from typing import Any, Final

from django.conf import settings

from apikeys.models import ApiKey
from billing.read_models import budget_report, key_report
from billing.read_models.budget_report import BudgetLine
from gateway.wire_money import usd_number

# OpenRouter's word for the time after which a limit starts anew.
_RESETS: Final = {"day": "daily", "week": "weekly", "month": "monthly", "total": None}


def status(key_id: int, *, now: datetime) -> dict[str, Any]:
    """Return the key's status; runs three queries, so it belongs in a thread."""
    key = ApiKey.every.select_related("organization", "project").get(pk=key_id)
    lines = budget_report.binding(key, now=now)
    spent = key_report.spent(key, now=now)
    return {
        "data": {
            "label": key.name,
            "id": key.public_id,
            "mode": key.mode,
            "project": key.project.public_id,
            **_limit(lines),
            "usage": usd_number(spent.total),
            "usage_daily": usd_number(spent.day),
            "usage_weekly": usd_number(spent.week),
            "usage_monthly": usd_number(spent.month),
            "time_zone": key.organization.time_zone,
            "expires_at": key.expires_at,
            "created_at": key.created_at,
            "is_management_key": False,
            "budgets": [_budget(line) for line in lines],
            **_rules(key),
        }
    }


def _limit(lines: list[BudgetLine]) -> dict[str, Any]:
    """Return the key's own cap with the least left, under OpenRouter's names."""
    own = [line for line in lines if line.scope == "key"]
    if not own:
        return {"limit": None, "limit_remaining": None, "limit_reset": None}
    tightest = min(own, key=lambda line: line.left_nanousd)
    return {
        "limit": usd_number(tightest.cap_nanousd),
        "limit_remaining": usd_number(tightest.left_nanousd),
        "limit_reset": _RESETS[tightest.period],
    }


def _budget(line: BudgetLine) -> dict[str, Any]:
    return {
        "scope": line.scope,
        "model": line.name if line.scope == "key_model" else None,
        "period": line.period,
        "cap_usd": usd_number(line.cap_nanousd),
        "posted_usd": usd_number(line.posted_nanousd),
        "held_usd": usd_number(line.held_nanousd),
        "remaining_usd": usd_number(line.left_nanousd),
        "renews_at": line.ends_at,
        "raised_usd": usd_number(line.raised_nanousd),
        "raised_until": line.raised_until,
    }


def _rules(key: ApiKey) -> dict[str, Any]:
    """Return limits and scopes; an empty list of a scope means everything."""
    most = key.max_request_nanousd
    return {
        "limits": {
            "requests_per_minute": key.requests_per_minute or settings.KEY_DEFAULT_RPM,
            "tokens_per_minute": key.tokens_per_minute or settings.KEY_DEFAULT_TPM,
            "concurrency": key.concurrency or settings.KEY_DEFAULT_CONCURRENCY,
            "max_output_tokens": key.max_output_tokens,
            "max_request_usd": None if most is None else usd_number(most),
        },
        "scopes": {
            "models": key.model_patterns,
            "modalities": key.modalities,
            "endpoints": key.endpoints,
            "ip_allow_list": key.ip_allow_list,
        },
    }
