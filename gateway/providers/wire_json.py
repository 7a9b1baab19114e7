"""JSON of providers: fast by msgspec, and with the standard library where a provider breaks the rules. Pure."""

import json
import math
from collections.abc import Callable
from typing import Any, Final

import msgspec

from gateway.providers.base import ProviderError

# What JSON of a provider raises that is none, or is nested too deeply to be read.
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode(data: bytes) -> dict[str, Any]:
    """Return the object in `data`, of a stream's event: half a surrogate pair may find its other half in the next."""
    return _object(data, _decode_lenient)


def decode_whole(data: bytes) -> dict[str, Any]:
    """Return the object in `data`, a whole answer: U+FFFD stands for half a surrogate pair."""
    return _object(data, _decode_repaired)


def _object(data: bytes, otherwise: Callable[[bytes], Any]) -> dict[str, Any]:
    """Return the object in `data`, read by `otherwise` if it breaks a rule. Raises ProviderError `bad_answer`."""
    try:
        body = msgspec.json.decode(data)
    except UNREADABLE:
        body = otherwise(data)
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
        return json.dumps(body, separators=(",", ":"), default=_number).encode()


def encode_whole(body: Any) -> bytes:
    """Return `body` as JSON that every reader takes: U+FFFD stands for half surrogate pairs."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        text = json.dumps(body, separators=(",", ":"), ensure_ascii=False, default=_number)
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _number(value: object) -> object:
    """Return what the standard library can write of a number that was written already (`gateway.wire_money`)."""
    if isinstance(value, msgspec.Raw):
        return json.loads(bytes(value))
    raise TypeError(type(value))


def _decode_lenient(data: bytes) -> Any:
    """
    Half a surrogate pair is what some servers send when a token ends inside an emoji; NaN and infinities come in
    probabilities and counts, and become null.
    """
    try:
        return json.loads(data, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):
        raise ProviderError("bad_answer", "The provider's answer is not valid JSON.") from None


def _decode_repaired(data: bytes) -> Any:
    return json.loads(encode_whole(_decode_lenient(data)))


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None
