"""
What an OpenAI-compatible provider says when it refuses: any shape in, a `ProviderError` out. Pure.

Messages are shown to customers, so addresses, keys and ids of our accounts are cut out of them.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.providers import wire_json
from gateway.providers.base import ErrorKind, ProviderError

_MAX_MESSAGE: Final = 1_000
_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")

# The first pattern that finds itself in "code type message" (lower case) names the kind; statuses say the rest.
_BY_TEXT: Final[tuple[tuple[ErrorKind, re.Pattern[str]], ...]] = (
    (
        "quota",
        re.compile(
            r"insufficient[_ ](quota|balance|credit|funds)|billing_(hard_)?limit|exceeded your current quota"
            r"|credit balance is too low|payment[_ ]required"
        ),
    ),
    (
        "auth",
        re.compile(
            r"invalid_api_key|authentication_error|(invalid|incorrect) (api|subscription) key"
            r"|api key (is )?(not valid|invalid)|permission_denied|invalid_authentication"
        ),
    ),
    ("rate_limited", re.compile(r"rate[_ ]limit|too_many_requests|throttl")),
    (
        "context_length",
        re.compile(
            r"context_length_exceeded|exceed_context_size|too_many_prompt_tokens|context_window"
            r"|context (length|window|size)|(prompt|input|messages) (is|are) too long"
            r"|model_max_prompt_tokens"
        ),
    ),
    (
        "content_policy",
        re.compile(
            r"content_filter|content_policy|responsibleaipolicy|content management policy|moderation_blocked"
            r"|data_inspection_failed|safety system|flagged by moderation|requires moderation"
        ),
    ),
    ("not_found", re.compile(r"model_not_found|deploymentnotfound|model_not_available")),
    ("overloaded", re.compile(r"overloaded|server_busy|at capacity|capacity_exhausted")),
)
_TEXT_DECIDES: Final = frozenset({400, 401, 402, 403, 404, 413, 422, 429, 500, 503})
_BY_STATUS: Final[Mapping[int, ErrorKind]] = {
    401: "auth",
    402: "quota",
    403: "auth",
    404: "not_found",
    408: "timeout",
    429: "rate_limited",
    503: "overloaded",
    504: "timeout",
    524: "timeout",
    529: "overloaded",
}

_SECRETS: Final = (
    re.compile(r"\bhttps?://[^\s\"'`<>)\]]+", re.IGNORECASE),
    re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"),
    re.compile(r"\bBearer\s+\S+", re.IGNORECASE),
    re.compile(r"\S*\*{3,}\S*"),
    re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b[0-9a-f]{24,}\b"),
    re.compile(r"\bAIza[\w-]{10,}|\beyJ[\w-]{10,}[\w.-]*"),
    # A prefixed id such as sk-..., org-..., proj_...: told from a word like `user_location` by a digit or capital.
    re.compile(
        r"\b(?:sk|pk|rk|gsk|xai|pplx|hf|fw|csk|tgp|nvapi|key|org|proj|project|user|acct|account|team|req)"
        r"[-_](?=[\w-]*[0-9A-Z])[\w-]{6,}"
    ),
)
_RETRY_IN: Final = re.compile(
    r"try again in (?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)(ms|s))?", re.IGNORECASE
)


def read_error(status: int, headers: Mapping[str, str], data: bytes) -> ProviderError:
    """Return the error in a provider's answer; `headers` are looked up in lower case."""
    try:
        body = msgspec.json.decode(data)
    except wire_json.UNREADABLE:
        body = {}  # a page of a proxy: nothing in it is for the customer
    error = error_of(body, status=status)
    wait = _header_seconds(headers)
    if wait is not None:
        error.retry_after_seconds = wait
    return error


def error_of(body: object, *, status: int | None = None) -> ProviderError:
    """
    Return the error in a decoded body; without `status` (inside a stream or a 200) the body must name it.

    Read are {"error": {...}}, {"error": "text"}, {"detail": ...} (Mistral, Voyage), {"message": ...}; codes may
    be integers (llama.cpp, OpenRouter) or integers in strings (Azure).
    """
    fields = _fields(body)
    status = status or _status(fields)
    raw_message = _message(fields)
    code, kind_word = fields.get("code"), fields.get("type")
    inner = fields.get("innererror")
    inner_code = inner.get("code", "") if isinstance(inner, dict) else ""
    kind = _kind(status, f"{code} {kind_word} {inner_code} {raw_message}".lower())
    param = fields.get("param")
    return ProviderError(
        kind,
        scrub(raw_message) or f"The provider answered with status {status}.",
        status=status,
        code=code if isinstance(code, str) and _CODE.fullmatch(code) else "",
        param=param[:200] if isinstance(param, str) and param not in ("", "None") else None,
        retry_after_seconds=_message_seconds(raw_message),
    )


def scrub(message: str) -> str:
    """Return the message without addresses, keys and account ids, at most 1,000 characters long."""
    message = message[: 4 * _MAX_MESSAGE]
    for pattern in _SECRETS:
        message = pattern.sub("[removed]", message)
    return message[:_MAX_MESSAGE].strip()


def _fields(body: object) -> dict[str, Any]:
    if not isinstance(body, dict):
        return {}
    error = body.get("error")
    if isinstance(error, dict):
        return error
    return {**body, "message": error} if isinstance(error, str) else body


def _message(fields: Mapping[str, Any]) -> str:
    """FastAPI servers tell of faults in `detail`: a text, or a list of {loc, msg}."""
    message = fields.get("message") or fields.get("detail") or ""
    if isinstance(message, list):
        parts = (str(part.get("msg", "")) for part in message if isinstance(part, dict))
        return "; ".join(part for part in parts if part)
    return message if isinstance(message, str) else ""


def _status(fields: Mapping[str, Any]) -> int:
    """Return the status an error body names for itself (Groq `status_code`, OpenRouter `code`), or 502."""
    for name in ("status_code", "status", "code"):
        value = fields.get(name)
        if isinstance(value, str) and value.isdecimal():
            value = int(value[:4])
        if isinstance(value, int) and 400 <= value < 600:
            return value
    return 400 if fields.get("type") == "invalid_request_error" else 502


def _kind(status: int, text: str) -> ErrorKind:
    if status in _TEXT_DECIDES:
        for kind, pattern in _BY_TEXT:
            if pattern.search(text):
                return kind
    elif status == 502 and "overloaded" in text:
        return "overloaded"
    return _BY_STATUS.get(status) or ("server" if status >= 500 else "bad_request")


def _header_seconds(headers: Mapping[str, str]) -> float | None:
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) * scale)
        except (KeyError, ValueError):
            continue  # absent, or a date, which needs a clock that a pure module has not
    return None


def _message_seconds(message: str) -> float | None:
    """OpenAI and Groq write `Please try again in 644ms`, `1.5s` or `6m0s` into the message."""
    found = _RETRY_IN.search(message)
    if found is None or not any(found.groups()):
        return None
    minutes, amount, unit = found.groups()
    return int(minutes or 0) * 60 + float(amount or 0) * (0.001 if unit == "ms" else 1.0)
