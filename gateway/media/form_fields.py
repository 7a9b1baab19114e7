"""Gives the texts of a form the types that their JSON would have, so that one set of checks does for both. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from gateway import json_body
from gateway.wire_checks import wrong_type, wrong_value

_MAX_DEPTH: Final = 8
_BOOLEANS: Final = {"true": True, "false": False, "1": True, "0": False}


def typed(texts: Mapping[str, list[str]], kinds: Mapping[str, str]) -> dict[str, Any]:
    """
    Return the fields of a form; one that `kinds` does not name is a text. Raises InvalidRequest.

    Fields named `a[b]` become an object `a` of texts: so the SDKs write objects.
    """
    fields: dict[str, Any] = {}
    for name, values in texts.items():
        outer, bracket, inner = name.partition("[")
        if bracket and inner.endswith("]"):
            inside = fields.setdefault(outer, {})
            if not isinstance(inside, dict):
                wrong_value(outer[:60], "it is given as a text and as an object.")
            inside[inner[:-1]] = _typed(name, values, "text")
        elif name in fields:
            wrong_value(name[:60], "it is given as a text and as an object.")
        else:
            fields[name] = _typed(name, values, kinds.get(name, "text"))
    return fields


def _typed(name: str, values: list[str], kind: str) -> Any:
    if kind == "array":
        return values
    if len(values) > 1:
        wrong_value(name[:60], f"it is given {len(values)} times. Send it once.")
    return _READERS[kind](values[0], name)


def _text(value: str, name: str) -> Any:
    return value


def _integer(value: str, name: str) -> Any:
    if not value.lstrip("-").isdecimal() or not value.isascii() or len(value) > 18:
        wrong_type(value, name, expected="an integer")
    return int(value)


def _number(value: str, name: str) -> Any:
    try:
        return float(value)
    except ValueError:
        wrong_type(value, name, expected="a number")


def _boolean(value: str, name: str) -> Any:
    if value.lower() not in _BOOLEANS:
        wrong_type(value, name, expected="a boolean")
    return _BOOLEANS[value.lower()]


def _json(value: str, name: str) -> Any:
    """An object in a field: the depth and keys of what is sent on are checked like those of a body."""
    try:
        return json_body.parse(value.encode(), max_depth=_MAX_DEPTH)
    except json_body.InvalidBody:
        wrong_type(value, name, expected="a JSON object")


_READERS: Final = {
    "json": _json,
    "text": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
}
