"""
From an answer that refuses a request to the record that explains it later.

Only requests of a known key are recorded, and only those that were not admitted: whatever was admitted has a usage
event. Called once, by the ASGI handler, at the one place where an exception becomes an answer.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from apikeys.authentication import AuthenticationFailed
from apikeys.snapshots import KeySnapshot
from billing.budgets import BudgetExceeded
from billing.refusals import RefusedCall
from gateway import budget_refusal
from gateway.admission import RequestTooDear
from gateway.api_error import ApiError
from gateway.context import CallContext
from gateway.documentation.docs_values import ERROR_WORDS
from gateway.rate_limits.limits import RateLimited

# On a route that only reads, an error is mostly an answer: nothing of that name, or a question that makes no sense.
REFUSALS_OF_READS = frozenset({401, 403, 429})


def note(context: CallContext | None, told: ApiError, error: Exception) -> None:
    """Record the refusal of a request, if it is one. Takes microseconds and waits for nothing."""
    if context is None or context.admitted:
        return
    key = context.key or (error.key if isinstance(error, AuthenticationFailed) else None)
    if key is None or not (context.endpoint or told.status in REFUSALS_OF_READS):
        return
    context.engine.refusals.note(record(context, told, error, key=key))


def record(
    context: CallContext, told: ApiError, error: Exception, *, key: KeySnapshot
) -> RefusedCall:
    """Return all there is to say of the refusal of a key's request."""
    return RefusedCall(
        request_id=context.request_id,
        occurred_at=datetime.now(UTC),
        organization_id=key.organization_id,
        project_id=key.project_id,
        key_id=key.id,
        mode=key.mode,
        endpoint=context.endpoint or context.path.removeprefix("/v1/"),
        status=told.status,
        code=told.code,
        message=told.message,
        advice=_advice(told, error),
        param=told.param or "",
        model=context.model or getattr(error, "model", ""),
        client_request_id=context.client_request_id,
        **_figures(error),
    )


def _advice(told: ApiError, error: Exception) -> str:
    """Return what to do: about money by the figures, else what the documentation says of the code."""
    if isinstance(error, BudgetExceeded):
        return budget_refusal.advice(error)
    if isinstance(error, RateLimited) and _never_fits(error):
        return "Send a shorter prompt or a smaller max_completion_tokens, or raise the key's limit."
    return ERROR_WORDS.get(told.code, ("", ""))[1].replace("`", "")


def _figures(error: Exception) -> dict[str, Any]:
    """Return the counters of the limit that refused, as they were; nothing for what is no limit."""
    if isinstance(error, BudgetExceeded):
        return _budget(error)
    if isinstance(error, RateLimited):
        return _rate_limit(error)
    if isinstance(error, RequestTooDear):
        return {
            "limit_kind": "money",
            "scope": "key",
            "period": "request",
            "cap_nanousd": error.cap_nanousd,
            "needed_nanousd": error.needed_nanousd,
        }
    return {}


def _budget(error: BudgetExceeded) -> dict[str, Any]:
    refusal = error.refusal
    return {
        "limit_kind": "money",
        "scope": refusal.scope,
        "period": refusal.period,
        "cap_nanousd": refusal.cap_nanousd,
        "posted_nanousd": refusal.posted_nanousd,
        "held_nanousd": refusal.held_nanousd,
        "needed_nanousd": refusal.needed_nanousd,
        "affordable_tokens": error.affordable_tokens,
        "frees_at": refusal.frees_at,
    }


def _never_fits(error: RateLimited) -> bool:
    """Say whether the call alone is larger than its limit."""
    return error.kind == "tokens" and error.slot.tokens > error.limit


def _rate_limit(error: RateLimited) -> dict[str, Any]:
    allowance, slot = error.allowance, error.slot
    remaining = {"requests": allowance.remaining_requests, "tokens": allowance.remaining_tokens}
    never = _never_fits(error)
    wait = timedelta(seconds=error.retry_after_seconds)
    return {
        "limit_kind": error.kind,
        "scope": "key",
        "period": "" if error.kind == "concurrency" else "minute",
        "limit_count": error.limit,
        "limit_remaining": remaining.get(error.kind, 0),
        "limit_needed": slot.tokens if error.kind == "tokens" else 1,
        "frees_at": None if never else datetime.now(UTC) + wait,
    }
