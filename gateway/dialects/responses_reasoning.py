"""
Reasoning that a client carries from turn to turn: what a model wants back, as one opaque text.

A Responses client returns a reasoning item's `encrypted_content` unread, so that what chat answers carry in
fields of their own (`reasoning_details`, `extra_content` with a signature, plain reasoning) fits in there. It is
encoded, not secret: nothing is in it that the client could not see in a chat answer.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from gateway import json_body
from gateway.json_body import InvalidBody
from gateway.providers import wire_json
from gateway.wire_checks import wrong_value

Json = dict[str, Any]

MARK: Final = "exr1."  # what does not begin so is another service's reasoning
_MAX_DEPTH: Final = 24
_PIECES: Final = ("text", "summary", "signature", "data")
PLAIN: Final = ("reasoning_content", "reasoning")


class Replay:
    """Collects what one answer of a model wants to see again."""

    __slots__ = ("_calls", "_details", "_extra", "_model", "_plain_name", "_plain_text")

    def __init__(self, *, model: str) -> None:
        self._model = model
        self._clear()

    def add(self, delta: Mapping[str, Any], *, plain_name: str, plain_text: str) -> None:
        """Take what a delta or message has besides its text: details of reasoning and a signature."""
        if plain_text:
            self._plain_name = plain_name
            self._plain_text.append(plain_text)
        for entry in delta.get("reasoning_details") or ():
            if isinstance(entry, dict):
                self._add_detail(entry)
        if isinstance(extra := delta.get("extra_content"), dict):
            self._extra |= extra

    def add_call(self, call_id: str, extra: object) -> None:
        """Take the signature of a tool call."""
        if isinstance(extra, dict):
            self._calls[call_id] = extra

    def take(self) -> str:
        """Return all that came since the last time, "" when there was nothing."""
        fields: Json = {}
        if self._details:
            fields["reasoning_details"] = self._details
        elif self._plain_text:
            fields[self._plain_name] = "".join(self._plain_text)
        if self._extra:
            fields["extra_content"] = self._extra
        if self._calls:
            fields["calls"] = self._calls
        self._clear()
        if not fields:
            return ""
        data = wire_json.encode_whole({"model": self._model, **fields})
        return MARK + base64.urlsafe_b64encode(data).decode()

    def _clear(self) -> None:
        self._plain_name = ""
        self._plain_text: list[str] = []
        self._details: list[Json] = []
        self._extra: Json = {}
        self._calls: Json = {}

    def _add_detail(self, entry: Json) -> None:
        """Join the pieces of a stream by their `index`; what is constant stands in a block's first piece."""
        last = self._details[-1] if self._details else {}
        if entry.get("index") is None or entry["index"] != last.get("index"):
            self._details.append(dict(entry))
            return
        for name, value in entry.items():
            if name in _PIECES and isinstance(value, str):
                last[name] = str(last.get(name) or "") + value
            else:
                last.setdefault(name, value)


def unpack(text: str, *, model: str, param: str) -> Json:
    """
    Return the fields that an assistant message of this model had, and `calls`: tool call id -> `extra_content`.

    Nothing for another model's reasoning or another service's, which mean nothing here. Raises InvalidRequest
    for a text of ours that was changed.
    """
    if not text.startswith(MARK):
        return {}
    try:
        data = base64.b64decode(text[len(MARK) :], altchars=b"-_", validate=True)
        fields = json_body.parse(data, max_depth=_MAX_DEPTH)
    except (binascii.Error, ValueError, InvalidBody):
        wrong_value(param, "it is not as it came in the answer. Send it back unchanged.")
    if fields.pop("model", None) != model:
        return {}
    if not _is_ours(fields):
        wrong_value(param, "it is not as it came in the answer. Send it back unchanged.")
    return fields


def merge(message: Json, fields: Json) -> None:
    """Put unpacked fields on an assistant message, beside what earlier reasoning of the same turn left there."""
    for name, value in fields.items():
        before = message.get(name)
        if before is None:
            message[name] = value
        else:
            message[name] = before | value if isinstance(value, dict) else before + value


def _is_ours(fields: Json) -> bool:
    kinds = {
        "reasoning_details": list,
        "extra_content": dict,
        "calls": dict,
        **dict.fromkeys(PLAIN, str),
    }
    if not all(isinstance(value, kinds.get(name, ())) for name, value in fields.items()):
        return False
    inner = [*fields.get("reasoning_details", ()), *fields.get("calls", {}).values()]
    return all(isinstance(entry, dict) for entry in inner)
