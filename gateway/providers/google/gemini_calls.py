"""
A function call of Gemini whose arguments may come in pieces (`partialArgs`). Pure.

Pieces name their place by a JSON path and may continue a string
(https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling, read 2026-10). We do not ask for
them, but Vertex sends them in some streams; OpenAI's clients want JSON text in order, so that a call goes out whole.
"""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

from gateway.providers.base import ProviderError

_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d{1,6})\]|\['((?:[^'\\]|\\.)*)'\]")
_VALUES: Final = ("stringValue", "numberValue", "boolValue")


class OpenCall:
    """One call: its id and name, the arguments so far, and its thought signature."""

    __slots__ = ("arguments", "id", "name", "signature")

    def __init__(self, call: Mapping[str, Any], *, signature: str) -> None:
        self.id = str(call.get("id") or "")
        self.name = str(call.get("name") or "")
        self.signature = signature
        self.arguments: dict[str, Any] = {}
        self.add(call)

    def add(self, call: Mapping[str, Any]) -> None:
        """Take further arguments. Raises ProviderError for a piece that fits nowhere."""
        arguments = call.get("args")
        if isinstance(arguments, dict):
            self.arguments.update(arguments)
        for piece in call.get("partialArgs") or ():
            if not isinstance(piece, dict):
                raise _misplaced()
            steps = _steps(str(piece.get("jsonPath")))
            value = next((piece[name] for name in _VALUES if name in piece), None)
            _put(self.arguments, steps, value)


def _steps(path: str) -> list[str | int]:
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            break
        name, number, quoted = found.groups()
        steps.append(int(number) if number is not None else name or quoted)
        at = found.end()
    if not steps or not path.startswith("$") or at < len(path):
        raise _misplaced()
    return steps


def _put(holder: Any, steps: list[str | int], value: object) -> None:
    """Put a value at its place, making what is missing on the way; a string continues the one that is there."""
    for step, following in pairwise(steps):
        holder = _at(holder, step, [] if isinstance(following, int) else {})
    before = _at(holder, steps[-1], None)
    holder[steps[-1]] = (
        before + value if isinstance(before, str) and isinstance(value, str) else value
    )


def _at(holder: Any, step: str | int, missing: Any) -> Any:
    if isinstance(holder, dict) and isinstance(step, str):
        return holder.setdefault(step, missing)
    if isinstance(holder, list) and isinstance(step, int) and step <= len(holder):
        if step == len(holder):
            holder.append(missing)
        return holder[step]
    raise _misplaced()


def _misplaced() -> ProviderError:
    return ProviderError("bad_answer", "The provider's call has arguments that fit nowhere.")
