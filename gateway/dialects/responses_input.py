"""
`input` of the Responses API to chat messages. Pure.

Items are finer than messages: reasoning, text and calls of one turn are items each, and one assistant message.
Every fault is told with the path of the item as the client sent it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway import wire_checks
from gateway.chat_messages import DETAIL
from gateway.dialects import responses_reasoning
from gateway.dialects.responses_tools import chat_name
from gateway.wire_checks import missing, unsupported_value, wrong_type, wrong_value

Json = dict[str, Any]

_ROLES: Final = wire_checks.choice("user", "assistant", "system", "developer")
_TEXTS: Final = ("input_text", "output_text", "text")


def read_input(value: Any, *, instructions: str | None, model: str) -> list[Json]:
    """Return the messages of a request. Raises InvalidRequest."""
    messages = _Messages(model=model)
    if instructions:
        messages.done.append({"role": "system", "content": instructions})
    if value.__class__ is str:
        messages.done.append({"role": "user", "content": value})
    elif value.__class__ is not list:
        wrong_type(value, "input", expected="a string or an array of items")
    else:
        for position, item in enumerate(value):
            messages.add(item, param=f"input[{position}]")
    messages.close()
    if not messages.done:
        wrong_value("input", "expected at least one item that says something.")
    return messages.done


class _Messages:
    """The messages so far; the assistant's last one is open until something else comes."""

    def __init__(self, *, model: str) -> None:
        self.done: list[Json] = []
        self._model = model
        self._assistant: Json | None = None
        self._media: list[Json] = []

    def add(self, item: Any, *, param: str) -> None:
        wire_checks.mapping(item, param)
        kind = item.get("type")
        if kind is None:
            if "role" not in item:
                missing(f"{param}.type")
            kind = "message"
        reader = _READERS.get(kind) if kind.__class__ is str else None
        if reader is None:
            unsupported_value(
                f"{param}.type",
                f"'{str(kind)[:60]}' items cannot be read here. Send messages, function or custom tool calls, "
                "their outputs, and reasoning.",
            )
        reader(self, item, param)

    def close(self) -> None:
        """End the assistant's turn, and show the pictures that tools have returned."""
        self._end_turn()
        if self._media:
            self.done.append({"role": "user", "content": self._media})
            self._media = []
        self._forget_old_reasoning()

    def add_message(self, item: Json, param: str) -> None:
        if item.get("role") is None:
            missing(f"{param}.role")
        role = item["role"]
        _ROLES(role, f"{param}.role")
        content = item.get("content")
        if content is None:
            missing(f"{param}.content")
        if role == "assistant":
            self._add_said(_said(content, f"{param}.content"))
            return
        self.close()
        self.done.append({"role": role, "content": _content(content, f"{param}.content")})

    def add_reasoning(self, item: Json, param: str) -> None:
        kept = item.get("encrypted_content")
        if kept is None:
            return
        wire_checks.text(kept, f"{param}.encrypted_content")
        fields = responses_reasoning.unpack(
            kept, model=self._model, param=f"{param}.encrypted_content"
        )
        if fields:
            responses_reasoning.merge(self._turn(), fields)

    def add_function_call(self, item: Json, param: str) -> None:
        wire_checks.text(item.get("arguments"), f"{param}.arguments")
        self._add_call(item, {"arguments": item["arguments"]}, kind="function", param=param)

    def add_custom_call(self, item: Json, param: str) -> None:
        wire_checks.text(item.get("input"), f"{param}.input")
        self._add_call(item, {"input": item["input"]}, kind="custom", param=param)

    def add_output(self, item: Json, param: str) -> None:
        """A tool's pictures and files follow in a user message: most providers take only text from tools."""
        wire_checks.name(item.get("call_id"), f"{param}.call_id")
        output = item.get("output")
        if output is None:
            missing(f"{param}.output")
        content = _content(output, f"{param}.output")
        self._end_turn()
        if isinstance(content, list):
            self._media += [part for part in content if part["type"] != "text"]
            text = "\n".join(part["text"] for part in content if part["type"] == "text")
            content = text or "The result is attached."
        self.done.append({"role": "tool", "tool_call_id": item["call_id"], "content": content})

    def _turn(self) -> Json:
        if self._assistant is None:
            if self._media:
                self.close()
            self._assistant = {"role": "assistant", "content": None}
        return self._assistant

    def _add_said(self, text: str) -> None:
        turn = self._turn()
        if turn["content"] is None:
            turn["content"] = text
        elif "tool_calls" in turn:
            turn["content"] += "\n" + text  # the calls' outputs must follow their message
        else:
            self._end_turn()
            self._turn()["content"] = text

    def _add_call(self, item: Json, body: Json, *, kind: str, param: str) -> None:
        wire_checks.name(item.get("call_id"), f"{param}.call_id")
        wire_checks.name(item.get("name"), f"{param}.name")
        name = chat_name(item["name"], item.get("namespace"))
        call = {"id": item["call_id"], "type": kind, kind: {"name": name, **body}}
        self._turn().setdefault("tool_calls", []).append(call)

    def _end_turn(self) -> None:
        turn, self._assistant = self._assistant, None
        if turn is None:
            return
        signatures = turn.pop("calls", {})
        for call in turn.get("tool_calls", ()):
            if call["id"] in signatures:
                call["extra_content"] = signatures[call["id"]]
        if turn["content"] is not None or "tool_calls" in turn:
            self.done.append(turn)

    def _forget_old_reasoning(self) -> None:
        """
        Drop unsigned reasoning of turns that are over, which models do not want back (DeepSeek drops or
        refuses it: https://api-docs.deepseek.com/guides/thinking_mode, read 2026-10).
        """
        users = [at for at, message in enumerate(self.done) if message["role"] == "user"]
        for message in self.done[: users[-1] if users else 0]:
            for name in responses_reasoning.PLAIN:
                message.pop(name, None)


_READERS: Final[Mapping[str, Callable[[_Messages, Json, str], None]]] = {
    "message": _Messages.add_message,
    "reasoning": _Messages.add_reasoning,
    "function_call": _Messages.add_function_call,
    "function_call_output": _Messages.add_output,
    "custom_tool_call": _Messages.add_custom_call,
    "custom_tool_call_output": _Messages.add_output,
}


def _said(content: Any, param: str) -> str:
    """Return what the assistant said; a refusal is said too."""
    if content.__class__ is str:
        text: str = content
        return text
    if content.__class__ is not list:
        wrong_type(content, param, expected="a string or an array of content parts")
    texts = []
    for position, part in enumerate(content):
        path = f"{param}[{position}]"
        wire_checks.mapping(part, path)
        name = "refusal" if part.get("type") == "refusal" else "text"
        if name == "text" and part.get("type") not in _TEXTS:
            wrong_value(f"{path}.type", "expected 'output_text' or 'refusal' of an assistant.")
        wire_checks.text(part.get(name), f"{path}.{name}")
        texts.append(part[name])
    return "".join(texts)


def _content(content: Any, param: str) -> str | list[Json]:
    """Return text, or parts in chat's form; one text alone is told as text."""
    if content.__class__ is str:
        text: str = content
        return text
    if content.__class__ is not list:
        wrong_type(content, param, expected="a string or an array of content parts")
    if not content:
        wrong_value(param, "the array has no content parts. Send at least one, or a string.")
    parts = [_part(part, f"{param}[{position}]") for position, part in enumerate(content)]
    if len(parts) == 1 and parts[0]["type"] == "text":
        alone: str = parts[0]["text"]
        return alone
    return parts


def _part(part: Any, param: str) -> Json:
    wire_checks.mapping(part, param)
    kind = part.get("type")
    if kind is None:
        missing(f"{param}.type")
    if kind in _TEXTS:
        wire_checks.text(part.get("text"), f"{param}.text")
        return {"type": "text", "text": part["text"]}
    if kind == "input_image":
        return _image(part, param)
    if kind == "input_file":
        return _file(part, param)
    if kind == "input_audio":
        return _audio(part, param)
    wrong_value(
        f"{param}.type",
        f"expected 'input_text', 'input_image', 'input_file' or 'input_audio', but got '{str(kind)[:60]}'.",
    )


def _image(part: Json, param: str) -> Json:
    if part.get("file_id") is not None:
        _no_stored_files(f"{param}.file_id", instead="image_url")
    url = part.get("image_url")
    wire_checks.text(url, f"{param}.image_url")
    if not part["image_url"].startswith(("https://", "http://", "data:")):
        wrong_value(
            f"{param}.image_url", "expected an http(s) address or a data: URL with the image."
        )
    image = {"url": url}
    if part.get("detail") is not None:
        DETAIL(part["detail"], f"{param}.detail")
        image["detail"] = part["detail"]
    return {"type": "image_url", "image_url": image}


def _file(part: Json, param: str) -> Json:
    for name in ("file_id", "file_url"):
        if part.get(name) is not None:
            _no_stored_files(f"{param}.{name}", instead="file_data")
    wire_checks.text(part.get("file_data"), f"{param}.file_data")
    file = {"file_data": part["file_data"]}
    if part.get("filename") is not None:
        wire_checks.text(part["filename"], f"{param}.filename")
        file["filename"] = part["filename"]
    return {"type": "file", "file": file}


def _no_stored_files(param: str, *, instead: str) -> None:
    unsupported_value(
        param, f"files are neither stored nor fetched here. Send the content as '{instead}'."
    )


def _audio(part: Json, param: str) -> Json:
    audio = part.get("input_audio")
    wire_checks.mapping(audio, f"{param}.input_audio")
    for name in ("data", "format"):
        wire_checks.text(part["input_audio"].get(name), f"{param}.input_audio.{name}")
    return {"type": "input_audio", "input_audio": audio}
