"""
What Google says when it refuses: a google.rpc.Status in, a `ProviderError` out. Pure.

{"error": {"code", "status", "message", "details"}} (https://ai.google.dev/gemini-api/docs/troubleshooting and
https://cloud.google.com/apis/design/errors, read 2026-10), in a list where a stream was not asked for as events.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from gateway.providers import wire_json
from gateway.providers.base import ErrorKind, ProviderError
from gateway.providers.openai import openai_errors

_BY_STATUS: Final[Mapping[str, ErrorKind]] = {
    "INVALID_ARGUMENT": "bad_request",
    "OUT_OF_RANGE": "bad_request",
    # Our account or place may not use the API: billing is off, the region is not served.
    "FAILED_PRECONDITION": "auth",
    "PERMISSION_DENIED": "auth",
    "UNAUTHENTICATED": "auth",
    "NOT_FOUND": "not_found",
    "RESOURCE_EXHAUSTED": "rate_limited",
    "UNAVAILABLE": "overloaded",
    "ABORTED": "overloaded",
    "DEADLINE_EXCEEDED": "timeout",
    "CANCELLED": "server",
    "INTERNAL": "server",
    "UNKNOWN": "server",
    "DATA_LOSS": "server",
    "UNIMPLEMENTED": "server",
}
# HTTP statuses of google.rpc.Code, for a stream's error event, which may name the status alone.
_HTTP: Final[Mapping[str, int]] = {
    "INVALID_ARGUMENT": 400,
    "OUT_OF_RANGE": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
# What an ErrorInfo's reason tells of our key or account, whatever the status (a bad key is INVALID_ARGUMENT).
_ACCOUNT_REASON: Final = re.compile(
    r"API_KEY_|ACCESS_TOKEN_|CREDENTIALS_MISSING|CONSUMER_|SERVICE_DISABLED|ACCOUNT_STATE|IAM_PERMISSION"
)
_TOO_LONG: Final = re.compile(
    r"token count .{0,40}exceeds|exceeds the (maximum|max) (number of )?(input )?tokens|context (length|window)"
)
_SPENT: Final = re.compile(r"prepay|credits? (are|is|were) (depleted|exhausted)|billing account")
_RETRY_IN: Final = re.compile(r"retry in (\d{1,6}(?:\.\d+)?)s")
_ACCOUNT_NAMES: Final = (
    re.compile(r"//[\w.-]+\.googleapis\.com/[^\s'\"`]+"),
    re.compile(r"\b(?:projects|folders|organizations|billingAccounts)/[^\s'\"`)]+"),
    re.compile(
        r"\bproject(?:s|_number|_id|_name)?\s*[:=#]?\s*['\"`]?(?:\d{5,}|[a-z][a-z0-9-]*-\d+)"
    ),
)


def refused(message: str, *, param: str) -> ProviderError:
    """Return the error for what Gemini cannot do, found before anything was sent."""
    return ProviderError(
        "bad_request", message, status=400, code="unsupported_value", param=param, sent=False
    )


def read_error(status: int, headers: Mapping[str, str], data: bytes) -> ProviderError:
    """Return the error in an answer of status 400 or more; `headers` are looked up in lower case."""
    try:
        body = msgspec.json.decode(data)
    except wire_json.UNREADABLE:
        body = {}  # a page of a proxy: nothing in it is for the customer
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict) or not isinstance(body.get("error"), dict):
        return openai_errors.read_error(status, headers, data)
    return error_of(body, status=status)


def error_of(body: Mapping[str, Any], *, status: int | None = None) -> ProviderError:
    """Return the error in a decoded body; without `status` (inside a stream) the body names it."""
    found = body.get("error")
    error: Mapping[str, Any] = found if isinstance(found, dict) else {"message": str(found)}
    name, message = str(error.get("status") or ""), str(error.get("message") or "")
    details = list(_details(error))
    status = status or _http_status(error.get("code"), name)
    return ProviderError(
        _kind(status, name, message.lower(), details),
        scrub(message) or f"The provider answered with status {status}.",
        status=status,
        retry_after_seconds=_retry_seconds(details, message),
    )


def scrub(message: str) -> str:
    """Return the message without addresses, keys and the names and numbers of our projects."""
    for pattern in _ACCOUNT_NAMES:
        message = pattern.sub("[removed]", message)
    return openai_errors.scrub(message)


def _details(error: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict):
            yield detail


def _http_status(code: object, name: str) -> int:
    if isinstance(code, int) and 400 <= code < 600:
        return code
    return _HTTP.get(name, 502)


def _kind(status: int, name: str, text: str, details: list[Mapping[str, Any]]) -> ErrorKind:
    reasons = " ".join(str(detail.get("reason") or "") for detail in details)
    if "BILLING_DISABLED" in reasons or _SPENT.search(text):
        return "quota"
    if _ACCOUNT_REASON.search(reasons) or "api key" in text:
        return "auth"
    if _TOO_LONG.search(text):
        return "context_length"
    kind = _BY_STATUS.get(name)
    if kind is None:
        return openai_errors.error_of({"error": {"message": text}}, status=status).kind
    return "quota" if kind == "rate_limited" and _is_daily(details) else kind


def _is_daily(details: list[Mapping[str, Any]]) -> bool:
    """A quota of the day is as good as none left; those of the minute come back soon."""
    violations = (detail.get("violations") for detail in details)
    ids = (
        str(violation.get("quotaId"))
        for found in violations
        if isinstance(found, list)
        for violation in found
        if isinstance(violation, dict)
    )
    return any("PerDay" in quota_id for quota_id in ids)


def _retry_seconds(details: list[Mapping[str, Any]], message: str) -> float | None:
    """Return the wait of a google.rpc.RetryInfo (`34.4s`), or the one that the message names."""
    for detail in details:
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and re.fullmatch(r"\d{1,6}(\.\d+)?s", delay):
            return float(delay[:-1])
    found = _RETRY_IN.search(message)
    return float(found[1]) if found else None
