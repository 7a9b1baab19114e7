"""
What `/v1/generation` says of one request of an organization: how it ended, what it used, and how its price came
about; or why it was refused.

The fields that OpenRouter has keep its names; money is USD, times are milliseconds.
"""

from collections.abc import Sequence
from typing import Any, Final

from django.conf import settings

from accounts.models import Organization
from billing import price_book, price_formula
from billing.basis import BASIS_WORDS
from billing.models import Attempt, RefusedRequest, Reservation, UsageEvent
from billing.read_models import refusal_log, request_log
from gateway import error_words
from gateway.models import Provider
from gateway.wire_money import usd_number

MAX_ID_CHARACTERS: Final = 200
_UNITS: Final = {"requests": "requests", "tokens": "tokens", "concurrency": "calls"}


class GenerationNotFound(Exception):
    """The organization has made no such request."""


def record(organization_id: int, *, id: str) -> dict[str, Any]:
    """
    Return the request that an id names: ours under any prefix, else its provider's.

    Raises GenerationNotFound. Runs up to seven queries, so it belongs in a thread.
    """
    if not id.isprintable() or not 0 < len(id) <= MAX_ID_CHARACTERS:
        raise GenerationNotFound
    organization = Organization.objects.get(pk=organization_id)
    request_id = request_log.parse_id(id)
    if request_id is not None:
        running = request_log.find_open(organization, request_id)
        if running is not None:
            return {"data": _running(running)}
    event = request_log.find(organization, request_id) if request_id is not None else None
    event = event or request_log.find_upstream(organization, id)
    if event is not None:
        return {"data": _done(event)}
    refusal = refusal_log.find(organization, request_id) if request_id is not None else None
    if refusal is None:
        raise GenerationNotFound
    return {"data": _refused(refusal)}


def _running(reservation: Reservation) -> dict[str, Any]:
    """Return what is known of a call before it is settled."""
    return {
        "id": request_log.public_id(reservation.request_id),
        "status": "running",
        "model": reservation.model,
        "endpoint": _address(reservation.endpoint),
        "mode": reservation.mode,
        "created_at": reservation.created_at,
        "streamed": reservation.streamed,
        "held": usd_number(reservation.upper_nanousd),
    }


def _refused(refusal: RefusedRequest) -> dict[str, Any]:
    """Return why a request was refused; it used and cost nothing."""
    return {
        "id": request_log.public_id(refusal.request_id),
        "client_request_id": refusal.client_request_id or None,
        "status": "refused",
        "model": refusal.model or None,
        "endpoint": _address(refusal.endpoint),
        "mode": refusal.mode,
        "key": refusal.key.public_id,
        "project": refusal.project.public_id,
        "created_at": refusal.occurred_at,
        "http_status": refusal.status,
        "error_code": refusal.code,
        "total_cost": 0,
        "usage": 0,
        "requests": refusal.count,
        "refusal": {
            "code": refusal.code,
            "message": refusal.message,
            "param": refusal.param or None,
            "what_to_do": refusal.advice or None,
            "docs_url": f"{settings.SITE_URL}/docs/errors#{refusal.code}",
            "scope": refusal.scope or None,
            "period": refusal.period or None,
            **_limit(refusal),
            "affordable_tokens": refusal.affordable_tokens,
            "frees_at": refusal.frees_at,
        },
    }


def _limit(refusal: RefusedRequest) -> dict[str, Any]:
    """Return the limit that refused and what filled it: USD for money, else counts; None where it was no limit."""
    kind = refusal.limit_kind
    if kind == RefusedRequest.LimitKind.MONEY:
        amounts = {
            "limit": refusal.cap_nanousd,
            "posted": refusal.posted_nanousd,
            "held": refusal.held_nanousd,
            "needed": refusal.needed_nanousd,
        }
        told = {name: None if n is None else usd_number(n) for name, n in amounts.items()}
        return {"limit_kind": kind, "unit": "usd", **told, "remaining": _remaining(refusal)}
    return {
        "limit_kind": kind or None,
        "unit": _UNITS.get(kind),
        "limit": refusal.limit_count,
        "posted": None,
        "held": None,
        "needed": refusal.limit_needed,
        "remaining": refusal.limit_remaining,
    }


def _remaining(refusal: RefusedRequest) -> Any:
    used = (refusal.posted_nanousd or 0) + (refusal.held_nanousd or 0)
    return usd_number(max(0, (refusal.cap_nanousd or 0) - used))


def _done(event: UsageEvent) -> dict[str, Any]:
    tries = request_log.attempts(event)
    titles = _provider_titles(event, tries)
    return {
        "id": request_log.public_id(event.request_id),
        "upstream_id": event.upstream_id or None,
        "client_request_id": event.client_request_id or None,
        "status": "done",
        "model": event.model,
        "endpoint": _address(event.endpoint),
        "mode": event.mode,
        "key": event.key.public_id if event.key else None,
        "project": event.project.public_id,
        "created_at": event.occurred_at,
        "settled_at": event.settled_at,
        "streamed": event.streamed,
        "cancelled": event.outcome == UsageEvent.Outcome.CLIENT_LEFT,
        "outcome": event.outcome,
        "http_status": event.status,
        "error_code": event.error_code or None,
        "finish_reason": event.finish_reason or None,
        "provider_name": titles.get(event.provider),
        **_money(event),
        **_tokens(event),
        **_times(event),
        "attempts": [_attempt(attempt, titles) for attempt in tries],
    }


def _money(event: UsageEvent) -> dict[str, Any]:
    """Return the charge, the price by the rates, and the sum that gives it."""
    charge = usd_number(event.charge_nanousd)
    return {
        "total_cost": charge,
        "usage": charge,
        "price": usd_number(event.price_nanousd),
        "basis": event.basis,
        "basis_reason": BASIS_WORDS[event.basis],
        "usage_flag": event.usage_flag or None,
        "service_tier": event.service_tier or None,
        "price_formula": _formula(event),
    }


def _formula(event: UsageEvent) -> list[str] | None:
    """Return one line for each class of tokens and each fee; None where the rates do not give the price."""
    usage = request_log.usage(event)
    price = price_book.price_of(event.price_version)
    formula = price_formula.explain(usage, price=price, price_nanousd=event.price_nanousd)
    if formula is None:
        return None
    return [
        f"{line.label}: {line.count:,} x {line.rate_text}{' / 1M' if line.per_million else ''} = {line.amount_text}"
        for line in formula.lines
    ]


def _tokens(event: UsageEvent) -> dict[str, Any]:
    """Return every class; cached tokens are inside the prompt, reasoning inside the completion."""
    return {
        "tokens_prompt": event.input_tokens,
        "tokens_completion": event.output_tokens,
        "tokens": {
            **request_log.token_counts(event),
            "cache_write_tokens": event.cache_write_tokens,
            **event.usage_details,
        },
    }


def _times(event: UsageEvent) -> dict[str, Any]:
    """`latency` is the time to the first token of a stream, and of a whole answer that to all of it."""
    first, total = event.first_token_ms, event.duration_ms
    return {
        "latency": total if first is None else first,
        "first_token_ms": first,
        "generation_time": None if total is None else total - (first or 0),
        "duration_ms": total,
    }


def _attempt(attempt: Attempt, titles: dict[str, str]) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "provider_name": titles.get(attempt.provider),
        "status": attempt.status,
        "error_code": error_words.code_of_kind(attempt.error_code) or None,
        "first_byte_ms": attempt.first_byte_ms,
        "duration_ms": attempt.duration_ms,
        "started_at": attempt.started_at,
    }


def _provider_titles(event: UsageEvent, tries: Sequence[Attempt]) -> dict[str, str]:
    """Return the titles of the providers that were asked; one that is gone keeps its name."""
    names = {event.provider, *(attempt.provider for attempt in tries)} - {""}
    found = Provider.objects.filter(name__in=names).values_list("name", "title")
    return {name: name for name in names} | dict(found)


def _address(endpoint: str) -> str:
    return f"/v1/{endpoint.replace('.', '/')}"
