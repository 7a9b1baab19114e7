"""
The strict reading of a request's JSON: what two readers could understand differently is refused.

Owns the checks no fast JSON library makes (repeated keys, NaN, numbers too large, lone surrogates, depth),
since a body that we price by one reading and a provider runs by another would be billed wrong.
"""

import json
import math
from collections import Counter
from typing import Any, Final, NoReturn

# More of these in one body is an attack on our memory: each costs many times its bytes once parsed.
MAX_CONTAINERS: Final = 250_000
MAX_VALUES: Final = 1_000_000
_ALWAYS_CHECKED_BYTES: Final = 1024 * 1024
_MAX_DIGITS: Final = 19  # of an integer of 64 bits

_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")


class InvalidBody(Exception):
    """The body is no JSON object that we accept; `message` tells the customer why."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


def parse(data: bytes, *, max_depth: int) -> dict[str, Any]:
    """Return the JSON object in `data`; `max_depth` counts objects and arrays inside each other. Raises InvalidBody."""
    if len(data) > _ALWAYS_CHECKED_BYTES or data.count(b"{") + data.count(b"[") > max_depth:
        _check_shape(data, max_depth=max_depth)
    body = _decoded(_text(data))
    if body.__class__ is not dict:
        raise InvalidBody('The request body must be a JSON object, such as {"model": "..."}.')
    if b"\\ud" in data or b"\\uD" in data:
        _check_surrogates(body)
    return body


def _text(data: bytes) -> str:
    if not data.strip():
        raise InvalidBody("The request body is empty. Send a JSON object.")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise InvalidBody(
            f"The request body is not valid UTF-8 (at byte {error.start}). Send JSON encoded as UTF-8."
        ) from None
    if text[0] == "\ufeff":
        raise InvalidBody("The request body starts with a byte order mark. Send it without one.")
    return text


def _decoded(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise InvalidBody(
            f"The request body is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from None


def _check_shape(data: bytes, *, max_depth: int) -> None:
    """
    Refuse what is nested too deep or has too many containers, without parsing it.

    Without escapes every quote begins or ends a string, so that each second piece between quotes lies outside
    of strings; only brackets are kept of those. Then each pass takes away the innermost pairs: what is left
    after `max_depth` passes lies deeper (or is unbalanced, which the parser reports better).
    """
    unescaped = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    if unescaped.count(b'"') > 4 * MAX_VALUES:
        raise InvalidBody(f"The request body has more than {MAX_VALUES:,} values.")
    outside = b"".join(unescaped.split(b'"')[::2])
    brackets = outside.translate(_ONE_KIND, _NOT_BRACKETS)
    if outside.count(b",") > MAX_VALUES:
        raise InvalidBody(f"The request body has more than {MAX_VALUES:,} values.")
    if len(brackets) > 2 * MAX_CONTAINERS:
        raise InvalidBody(f"The request body has more than {MAX_CONTAINERS:,} objects and arrays.")
    for _ in range(max_depth):
        if not brackets:
            return
        brackets = brackets.replace(b"[]", b"")
    if b"[]" in brackets or brackets.count(b"[") > max_depth:
        raise InvalidBody(f"The request body is nested more than {max_depth} levels deep.")


def _check_surrogates(body: dict[str, Any]) -> None:
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InvalidBody(
            "A string in the request body has half of a surrogate pair (such as \\ud83d alone). Send whole characters."
        ) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(
            name for name, count in Counter(name for name, _ in pairs).items() if count > 1
        )
        raise InvalidBody(f"The key {twice[:60]!r} appears twice in one object.", param=twice[:60])
    return found


def _integer(text: str) -> int:
    if len(text) >= _MAX_DIGITS and (len(text) > _MAX_DIGITS + 1 or abs(int(text)) >= 2**63):
        raise InvalidBody(f"The number {text[:24]}... is too large; integers have at most 64 bits.")
    return int(text)


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise InvalidBody(f"The number {text[:24]} is too large.")
    return number


def _constant(name: str) -> NoReturn:
    raise InvalidBody(f"{name} is not a JSON value.")


# Made once: json.loads would build a decoder for each call, at several times the cost of a short body.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
)
