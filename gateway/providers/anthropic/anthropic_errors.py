"""
What Anthropic says when it refuses: `{"type": "error", "error": {"type", "message"}}` in, a `ProviderError` out.

Pure. Types and statuses: https://platform.claude.com/docs/en/api/errors (read 2026-11). The same object ends a
stream as an `error` event, without a status.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import msgspec

from gateway.providers import wire_json
from gateway.providers.base import ErrorKind, ProviderError
from gateway.providers.openai import openai_errors

_STATUSES: Final[Mapping[str, int]] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_KINDS: Final[Mapping[str, ErrorKind]] = {
    "authentication_error": "auth",
    "billing_error": "quota",
    "permission_error": "auth",
    "not_found_error": "not_found",
    "request_too_large": "bad_request",
    "rate_limit_error": "rate_limited",
    "api_error": "server",
    "timeout_error": "timeout",
    "overloaded_error": "overloaded",
}
# An `invalid_request_error` may be our account's fault or mean something of its own; its message tells.
_INVALID: Final[tuple[tuple[ErrorKind, re.Pattern[str]], ...]] = (
    ("quota", re.compile(r"credit balance is too low|api usage limits|spend(ing)? limit")),
    ("auth", re.compile(r"organization has been disabled|workspace .*(disabled|archived)")),
    (
        "context_length",
        re.compile(r"prompt is too long|exceeds? (the )?context (limit|window)|context window"),
    ),
    ("content_policy", re.compile(r"content filtering policy|usage policy")),
)
# What a message begins with, and what the customer called it. Deeper paths are of our translation, not theirs.
_PARAMS: Final[Mapping[str, str]] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "tools": "tools",
    "tool_choice": "tool_choice",
    "stop_sequences": "stop",
    "max_tokens": "max_completion_tokens",
    "thinking": "reasoning_effort",
    "output_config.effort": "reasoning_effort",
    "output_config.format": "response_format",
}
_PATH: Final = re.compile(r"^`?((?:output_config\.)?[a-z_]+)")


def read_error(status: int, headers: Mapping[str, str], data: bytes) -> ProviderError:
    """Return the error in an answer of status 400 or more; `headers` are looked up in lower case."""
    error = openai_errors.read_error(status, headers, data)
    try:
        body = msgspec.json.decode(data)
    except wire_json.UNREADABLE:
        return error  # a page of a proxy
    return _refined(error, body)


def error_of(body: Mapping[str, Any]) -> ProviderError:
    """Return the error in a decoded `error` event, or in a body that came with status 200."""
    status = _STATUSES.get(_type(body), 502)
    return _refined(openai_errors.error_of(body, status=status), body)


def unsupported(param: str, message: str, *, code: str = "unsupported_parameter") -> NoReturn:
    """Refuse, before anything is sent, what Anthropic's models cannot honour. Raises ProviderError."""
    raise ProviderError("bad_request", message, status=400, code=code, param=param, sent=False)


def invalid(param: str, message: str) -> NoReturn:
    """Refuse, before anything is sent, what cannot be translated. Raises ProviderError."""
    unsupported(param, message, code="invalid_value")


def _refined(error: ProviderError, body: object) -> ProviderError:
    """Anthropic's types are more exact than words found in its messages."""
    word = _type(body)
    error.kind = _KINDS.get(word, error.kind)
    if word == "invalid_request_error":
        text = error.message.lower()
        error.kind = next((kind for kind, found in _INVALID if found.search(text)), "bad_request")
        if path := _PATH.match(error.message):
            error.param = _PARAMS.get(path[1])
    return error


def _type(body: object) -> str:
    fields = body.get("error") if isinstance(body, dict) else None
    word = fields.get("type") if isinstance(fields, dict) else None
    return word if isinstance(word, str) else ""
