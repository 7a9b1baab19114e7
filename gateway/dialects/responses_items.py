"""
The output items of a response: reasoning, message, tool calls, each told in events while it grows. Pure.

Whole answers grow from one message and streams from many deltas by the same code, so that both end as the same.
"""

from collections.abc import Callable
from typing import Any, Final, Literal

Json = dict[str, Any]
Tell = Callable[..., None]  # (event type, **fields)
Status = Literal["completed", "incomplete"]

_ADDED: Final = "response.output_item.added"
_DONE: Final = "response.output_item.done"


class Item:
    """One item; `shown` is what stands in the answer, complete only after `close`."""

    def __init__(self, shown: Json, *, index: int, tell: Tell) -> None:
        self.shown = shown
        self.index = index
        self._tell = tell
        tell(_ADDED, output_index=index, item=shown)

    def close(self, status: Status) -> None:
        """Tell that the item is done."""
        if "status" in self.shown:
            self.shown["status"] = status
        self._tell(_DONE, output_index=self.index, item=self.shown)

    def _say(self, event: str, **fields: Any) -> None:
        self._tell(event, item_id=self.shown["id"], output_index=self.index, **fields)


class ReasoningItem(Item):
    """Reasoning as one summary text, and what the model wants to see again."""

    def __init__(self, *, id: str, index: int, tell: Tell) -> None:
        super().__init__({"type": "reasoning", "id": id, "summary": []}, index=index, tell=tell)
        self._texts: list[str] = []

    def add(self, text: str) -> None:
        """Take more reasoning."""
        if not self._texts:
            part = {"type": "summary_text", "text": ""}
            self._say("response.reasoning_summary_part.added", summary_index=0, part=part)
        self._texts.append(text)
        self._say("response.reasoning_summary_text.delta", summary_index=0, delta=text)

    def keep(self, encrypted_content: str) -> None:
        """Give the item what the client is to send back unread."""
        self.shown["encrypted_content"] = encrypted_content

    def close(self, status: Status) -> None:
        """Tell that the reasoning is done."""
        if self._texts:
            text = "".join(self._texts)
            part = {"type": "summary_text", "text": text}
            self._say("response.reasoning_summary_text.done", summary_index=0, text=text)
            self._say("response.reasoning_summary_part.done", summary_index=0, part=part)
            self.shown["summary"] = [part]
        super().close(status)


class MessageItem(Item):
    """What the model says: parts of text or refusal, one after the other."""

    def __init__(self, *, id: str, index: int, tell: Tell) -> None:
        shown: Json = {
            "type": "message",
            "id": id,
            "status": "in_progress",
            "role": "assistant",
            "content": [],
        }
        super().__init__(shown, index=index, tell=tell)
        self._texts: list[str] = []
        self._logprobs: list[Json] = []
        self._annotations: list[Json] = []
        self._kind = ""
        self._at = -1

    def add_text(self, text: str, *, logprobs: list[Json]) -> None:
        """Take more text."""
        self._open("output_text")
        self._texts.append(text)
        self._logprobs += logprobs
        self._part("response.output_text.delta", delta=text, logprobs=logprobs)

    def add_refusal(self, text: str) -> None:
        """Take more of a refusal."""
        self._open("refusal")
        self._texts.append(text)
        self._part("response.refusal.delta", delta=text)

    def annotate(self, annotation: Json) -> None:
        """Take a source of the text."""
        self._open("output_text")
        event = "response.output_text.annotation.added"
        self._part(event, annotation_index=len(self._annotations), annotation=annotation)
        self._annotations.append(annotation)

    def close(self, status: Status) -> None:
        """Tell that the message is done."""
        self._close_part()
        super().close(status)

    def _part(self, event: str, **fields: Any) -> None:
        self._say(event, content_index=self._at, **fields)

    def _open(self, kind: str) -> None:
        if self._kind == kind:
            return
        self._close_part()
        self._kind = kind
        self._at += 1
        self._part("response.content_part.added", part=self._content(""))

    def _close_part(self) -> None:
        if not self._kind:
            return
        text = "".join(self._texts)
        part = self._content(text)
        if self._kind == "refusal":
            self._part("response.refusal.done", refusal=text)
        else:
            self._part("response.output_text.done", text=text, logprobs=self._logprobs)
        self._part("response.content_part.done", part=part)
        self.shown["content"].append(part)
        self._texts, self._logprobs, self._annotations, self._kind = [], [], [], ""

    def _content(self, text: str) -> Json:
        if self._kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {
            "type": "output_text",
            "text": text,
            "annotations": self._annotations,
            "logprobs": self._logprobs,
        }


class CallItem(Item):
    """A call of a function, or of a custom tool, whose input is free text."""

    def __init__(self, shown: Json, *, index: int, tell: Tell) -> None:
        self._field = "arguments" if shown["type"] == "function_call" else "input"
        self._event = (
            "response.function_call_arguments"
            if self._field == "arguments"
            else "response.custom_tool_call_input"
        )
        self._pieces: list[str] = []
        shown |= {self._field: "", "status": "in_progress"}
        super().__init__(shown, index=index, tell=tell)

    def add(self, piece: str) -> None:
        """Take more of the arguments or input."""
        self._pieces.append(piece)
        self._say(f"{self._event}.delta", delta=piece)

    def close(self, status: Status) -> None:
        """Tell that the call is done."""
        self.shown[self._field] = "".join(self._pieces)
        done = {self._field: self.shown[self._field]}
        if self._field == "arguments":
            done["name"] = self.shown["name"]
        self._say(f"{self._event}.done", **done)
        super().close(status)
