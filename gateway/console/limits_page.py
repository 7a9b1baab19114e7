"""Read model of the limits page: live use by key, the organization's budgets, and what a rehearsal came to."""

from dataclasses import dataclass

from accounts.models import Organization
from apikeys.models import ApiKey
from billing.console import refusal_words
from billing.models import RefusedRequest
from billing.refusals import RefusedCall
from exerati.drawing import formats
from gateway.admission import Rehearsed
from gateway.rate_limits.live_limits import KeyUse, Use, uses

MOST_KEYS = 100  # the ones used last


@dataclass(frozen=True, slots=True)
class Check:
    """One rule that the request meets: what it needs, of what is free, and the limit."""

    label: str
    needs: str
    free: str
    limit: str


def callers(organization: Organization) -> list[ApiKey]:
    """Return the keys and seats that may call, the ones used last first; one query."""
    found = ApiKey.every.filter(organization=organization, revoked_at=None, disabled_at=None)
    return list(found.order_by("-last_used_at", "-pk")[:MOST_KEYS])


def caller(organization: Organization, public_id: str) -> ApiKey | None:
    """Return one of them with what its page needs; one query."""
    found = ApiKey.every.filter(organization=organization, public_id=public_id, revoked_at=None)
    return found.select_related("organization", "project").first()


def live(organization: Organization) -> list[KeyUse]:
    """Return the live use of each caller, the fullest first."""
    return sorted(uses(callers(organization)), key=lambda use: -use.share)


def total(found: list[KeyUse]) -> dict[str, int]:
    """Return what all keys use together; the organization has no limit of its own."""
    return {
        "requests": sum(use.requests.used for use in found),
        "tokens": sum(use.tokens.used for use in found),
        "open_calls": sum(use.open_calls.used for use in found),
    }


def checks(held: Rehearsed, use: KeyUse, *, cap_nanousd: int | None) -> list[Check]:
    """Return the rate limits and the cap for one request, as they stand after this request would be let in."""
    found = [
        _check("Requests a minute", 1, use.requests),
        _check("Tokens a minute", held.slot.tokens, use.tokens),
        _check("Open calls at once", 1, use.open_calls),
    ]
    if cap_nanousd is not None:
        found.append(
            Check(
                "Cap for one request",
                formats.exact_text(held.upper_nanousd),
                "",
                formats.exact_text(cap_nanousd),
            )
        )
    return found


def _check(label: str, needs: int, use: Use) -> Check:
    free = max(0, use.limit - use.used)
    return Check(label, *(formats.count_text(count) for count in (needs, free, use.limit)))


def refusal(refused: RefusedCall, *, key: ApiKey) -> RefusedRequest:
    """Return the refusal as the request log would have it; it is not stored."""
    values = {name: getattr(refused, name) for name in refused.__struct_fields__}
    for name in ("organization_id", "project_id", "key_id"):
        del values[name]
    return RefusedRequest(organization=key.organization, project=key.project, key=key, **values)


def limit_of(row: RefusedRequest) -> dict[str, object]:
    """Return what the limit that decided looks like: its bar, its parts, whose it is."""
    return {"limit": refusal_words.limit(row), "level": refusal_words.level(row)}
