"""JSON of providers: fast by msgspec, and with the standard library where a provider breaks the rules. Pure."""

import json
import math
from typing import Any

import msgspec

from gateway.providers.base import ProviderError


def decode(data: bytes) -> dict[str, Any]:
    """Return the object in `data`. Raises ProviderError `bad_answer`."""
    try:
        body = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        body = _decode_lenient(data)
    if not isinstance(body, dict):
        raise ProviderError("bad_answer", "The provider's answer is not a JSON object.")
    return body


def mapping(value: object) -> dict[str, Any]:
    """Return the value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def encode(body: dict[str, Any]) -> bytes:
    """Return `body` as JSON in one line; half surrogate pairs, which UTF-8 cannot hold, stay escaped."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        return json.dumps(body, separators=(",", ":")).encode()


def _decode_lenient(data: bytes) -> Any:
    """
    Half a surrogate pair is what some servers send when a token ends inside an emoji; NaN and infinities come in
    probabilities and counts, and become null.
    """
    try:
        return json.loads(data, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):
        raise ProviderError("bad_answer", "The provider's answer is not valid JSON.") from None


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None
