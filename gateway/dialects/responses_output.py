"""The output of a response, grown from a chat's message or deltas. Pure."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from gateway.dialects.responses_items import (
    CallItem,
    Item,
    MessageItem,
    ReasoningItem,
    Status,
    Tell,
)
from gateway.dialects.responses_reasoning import PLAIN, Replay
from gateway.dialects.responses_request import Asked

Json = dict[str, Any]
Kind = TypeVar("Kind", ReasoningItem, MessageItem)

INCOMPLETE: Final[Mapping[str, str]] = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
}
_CITATION: Final = ("url", "title", "start_index", "end_index")


class Output:
    """
    The items of one answer, in the order in which they began.

    Reasoning and text end where the other begins; calls stay open until the end, since some providers send the
    arguments of parallel calls in turns.
    """

    def __init__(self, asked: Asked, *, request_id: str, tell: Tell) -> None:
        self._asked = asked
        self._request_id = request_id
        self._tell = tell
        self._items: list[Item] = []
        self._open: ReasoningItem | MessageItem | None = None
        self._calls: dict[object, CallItem] = {}
        self._replay = Replay(model=asked.model)

    @property
    def shown(self) -> list[Json]:
        """The items as they stand in the answer."""
        return [item.shown for item in self._items]

    def add(self, delta: Mapping[str, Any], *, logprobs: list[Json] | None = None) -> None:
        """Take a delta, or a whole message."""
        name = next((name for name in PLAIN if delta.get(name)), "")
        reasoning = delta[name] if name and isinstance(delta[name], str) else ""
        self._replay.add(delta, plain_name=name, plain_text=reasoning)
        if reasoning:
            self._current(ReasoningItem, "rs").add(reasoning)
        if content := _text(delta, "content"):
            self._current(MessageItem, "msg").add_text(content, logprobs=logprobs or [])
        if refusal := _text(delta, "refusal"):
            self._current(MessageItem, "msg").add_refusal(refusal)
        for annotation in delta.get("annotations") or ():
            self._annotate(annotation)
        for position, call in enumerate(delta.get("tool_calls") or ()):
            if isinstance(call, dict):
                self._add_call(call, call.get("index", position))

    def finish(self, finish_reason: str) -> None:
        """End what is open; only the last item can have been cut short."""
        final = self._items[-1] if self._items else None
        last: Status = "incomplete" if finish_reason in INCOMPLETE else "completed"
        if self._open is not None:
            self._end_open(last if self._open is final else "completed")
        for call in self._calls.values():
            call.close(last if call is final else "completed")
        if self._asked.with_replay and (kept := self._replay.take()):
            self._current(ReasoningItem, "rs").keep(kept)
            self._end_open("completed")

    def break_off(self) -> None:
        """Mark what is open as incomplete, without a word: the stream has failed."""
        for item in self._items:
            if item.shown.get("status") == "in_progress":
                item.shown["status"] = "incomplete"

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{self._request_id}_{len(self._items)}"

    def _current(self, kind: type[Kind], prefix: str) -> Kind:
        """Return the open item, which becomes one of this kind."""
        if isinstance(self._open, kind):
            return self._open
        self._end_open("completed")
        item = kind(id=self._id(prefix), index=len(self._items), tell=self._tell)
        self._items.append(item)
        self._open = item
        return item

    def _end_open(self, status: Status) -> None:
        item, self._open = self._open, None
        if item is None:
            return
        if isinstance(item, ReasoningItem) and self._asked.with_replay:
            kept = self._replay.take()
            if kept:
                item.keep(kept)
        item.close(status)

    def _annotate(self, annotation: Any) -> None:
        """Chat completions put a citation's fields into an object of their own."""
        cited = annotation.get("url_citation") if isinstance(annotation, dict) else None
        if isinstance(cited, dict) and all(cited.get(name) is not None for name in _CITATION):
            shown = {"type": "url_citation", **{name: cited[name] for name in _CITATION}}
            self._current(MessageItem, "msg").annotate(shown)

    def _add_call(self, call: Json, index: object) -> None:
        inner = call.get("function") or call.get("custom")
        body = inner if isinstance(inner, dict) else {}
        item = self._calls.get(index)
        if item is None:
            self._end_open("completed")
            item = self._begin_call(call, body)
            self._calls[index] = item
        self._replay.add_call(item.shown["call_id"], call.get("extra_content"))
        if piece := _text(body, "arguments") or _text(body, "input"):
            item.add(piece)

    def _begin_call(self, call: Json, body: Json) -> CallItem:
        """A provider may leave out the id, which the client needs for its answer."""
        custom = call.get("type") == "custom" or "custom" in call
        name = _text(body, "name")
        namespace, own_name = self._asked.tools.namespaced.get(name, ("", name))
        shown: Json = {
            "type": "custom_tool_call" if custom else "function_call",
            "id": self._id("ctc" if custom else "fc"),
            "call_id": _text(call, "id") or self._id("call"),
            "name": own_name,
        }
        if namespace:
            shown["namespace"] = namespace
        item = CallItem(shown, index=len(self._items), tell=self._tell)
        self._items.append(item)
        return item


def read_logprobs(choice: Mapping[str, Any]) -> list[Json]:
    """Return a choice's logprobs as the Responses API writes them: `bytes` is always a list."""
    found = choice.get("logprobs")
    tokens = found.get("content") if isinstance(found, dict) else None
    return [
        {
            **_logprob(token),
            "top_logprobs": [_logprob(top) for top in token.get("top_logprobs") or ()],
        }
        for token in tokens or ()
        if isinstance(token, dict)
    ]


def _logprob(token: Mapping[str, Any]) -> Json:
    return {
        "token": token.get("token") or "",
        "logprob": token.get("logprob") or 0.0,
        "bytes": token.get("bytes") or [],
    }


def _text(holder: Mapping[str, Any], name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""
