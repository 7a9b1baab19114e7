"""Stripe's form encoding: `lines[0][period][start]=1` is nested objects; lists are objects with numbers as names."""

import re
from typing import Any
from urllib.parse import parse_qsl

_PART = re.compile(r"\[([^\]]*)\]")


def decode(text: str) -> dict[str, Any]:
    """Return the nested value of a form or a query string; `name[]` takes the next number."""
    root: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        head, _, rest = name.partition("[")
        parts = [head, *_PART.findall("[" + rest)] if rest else [head]
        _put(root, parts, value)
    return root


def _put(place: dict[str, Any], parts: list[str], value: str) -> None:
    for part in parts[:-1]:
        inner = place.setdefault(part or str(len(place)), {})
        if not isinstance(inner, dict):
            return
        place = inner
    place[parts[-1] or str(len(place))] = value
