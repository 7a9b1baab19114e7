"""
What Bedrock says when it refuses: an exception's name and `{"message"}` in, a `ProviderError` out. Pure.

The name stands in the header `x-amzn-errortype`, or is the name of the event inside a stream
(https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html, read 2026-11).
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.providers import wire_json
from gateway.providers.base import ErrorKind, ProviderError
from gateway.providers.openai import openai_errors

_KINDS: Final[Mapping[str, ErrorKind]] = {
    "accessdeniedexception": "auth",
    "expiredtokenexception": "auth",
    "incompletesignatureexception": "auth",
    "invalidsignatureexception": "auth",
    "invalidclienttokenid": "auth",
    "missingauthenticationtokenexception": "auth",
    "unrecognizedclientexception": "auth",
    "optinrequired": "auth",
    "resourcenotfoundexception": "not_found",
    "throttlingexception": "rate_limited",
    "toomanyrequestsexception": "rate_limited",
    "servicequotaexceededexception": "quota",
    "modelnotreadyexception": "overloaded",
    "serviceunavailableexception": "overloaded",
    "modeltimeoutexception": "timeout",
    "modelerrorexception": "server",
    "modelstreamerrorexception": "server",
    "internalserverexception": "server",
    "internalfailure": "server",
    "validationexception": "bad_request",
}
_STATUSES: Final[Mapping[ErrorKind, int]] = {
    "auth": 403,
    "not_found": 404,
    "rate_limited": 429,
    "quota": 400,
    "overloaded": 503,
    "timeout": 408,
    "server": 500,
}
# A `ValidationException` means many things; its message tells which.
_INVALID: Final[tuple[tuple[ErrorKind, re.Pattern[str]], ...]] = (
    (
        "context_length",
        re.compile(
            r"input tokens exceeded|(input|prompt) is too long|too many (input )?tokens|context (length|window|limit)"
            r"|exceeds? the maximum (number of tokens|length)|expected maxlength"
        ),
    ),
    (
        "not_found",
        re.compile(
            r"model identifier is invalid|on-demand throughput isn.t supported|end of its life"
        ),
    ),
    (
        "auth",
        re.compile(
            r"operation not allowed|access to this model|use case details|not authorized|account is"
        ),
    ),
    ("content_policy", re.compile(r"content filter|blocked by|guardrail")),
)
_ACCOUNT_NAMES: Final = (
    re.compile(r"\barn:[\w-]+:[^\s'\"`,)]+"),
    re.compile(r"\b\d{12}\b"),
    re.compile(r"\b(?:AKIA|ASIA|ABSK)[A-Za-z0-9+/=]{8,}"),
)


def read_error(status: int, headers: Mapping[str, str], data: bytes) -> ProviderError:
    """Return the error in an answer of status 400 or more; `headers` are looked up in lower case."""
    error = openai_errors.read_error(status, headers, data)
    name = headers.get("x-amzn-errortype", "") or str(_body(data).get("__type") or "")
    return _refined(error, name.partition(":")[0].rpartition("#")[2], data)


def streamed(name: str, data: bytes) -> ProviderError:
    """Return the error that ended a stream: an exception event, or an error named by its code."""
    name = str(_body(data).get("code") or "") if name == "error" else name
    kind = _KINDS.get(name.lower(), "bad_request" if "validation" in name.lower() else "server")
    error = openai_errors.error_of(_told(_body(data)), status=_STATUSES.get(kind, 400))
    error.kind = kind
    return _refined(error, name, data)


def _refined(error: ProviderError, name: str, data: bytes) -> ProviderError:
    text = _message(_body(data))
    error.kind = _KINDS.get(name.lower(), error.kind)
    error.code = ""  # ours by kind; theirs is a name of Java's
    if error.kind in ("bad_request", "context_length", "content_policy"):
        lower = text.lower()
        error.kind = next((kind for kind, found in _INVALID if found.search(lower)), error.kind)
    error.message = scrub(text) or error.message
    return error


def scrub(message: str) -> str:
    """Return the message without the names and numbers of our account."""
    for pattern in _ACCOUNT_NAMES:
        message = pattern.sub("[removed]", message)
    return openai_errors.scrub(message)


def _body(data: bytes) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(data)
    except wire_json.UNREADABLE:
        return {}
    return body if isinstance(body, dict) else {}


def _message(body: Mapping[str, Any]) -> str:
    message = body.get("message") or body.get("Message") or body.get("originalMessage")
    return message if isinstance(message, str) else ""


def _told(body: Mapping[str, Any]) -> dict[str, Any]:
    return {"message": _message(body)}
