"""
Checks of `messages`: roles, content parts and tool calls of a chat request. Pure, and on the hot path.

Unknown fields inside a message pass (reasoning must reach its provider unchanged), but a content part of an
unknown kind is refused: what it costs could not be bounded.
"""

from typing import Any, Final, TypedDict

from gateway import wire_checks
from gateway.wire_checks import missing, wrong_type, wrong_value

_ROLES: Final = frozenset({"user", "assistant", "system", "developer", "tool", "function"})
DETAIL: Final = wire_checks.choice("auto", "low", "high", "original")
_TEXT_PARTS: Final = frozenset({"text", "refusal", "thinking", "reference"})


class Message(TypedDict, total=False):
    """One message on the wire; `content` is text or parts, by role."""

    role: str
    content: str | list[dict[str, Any]] | None
    name: str
    tool_calls: list[dict[str, Any]]
    tool_call_id: str


def check(messages: Any, *, max_messages: int) -> None:
    """Refuse messages that no provider could answer. Raises InvalidRequest with the path of the fault."""
    if messages.__class__ is not list:
        wrong_type(messages, "messages", expected="an array of objects")
    if not 0 < len(messages) <= max_messages:
        wrong_value("messages", f"expected 1 to {max_messages} messages, but got {len(messages)}.")
    for position, message in enumerate(messages):
        if message.__class__ is not dict:
            wrong_type(message, f"messages[{position}]", expected="an object")
        role = message.get("role")
        # The common case first: text from anyone, and nothing else to look at.
        if (
            role.__class__ is str
            and role in _ROLES
            and message.get("content").__class__ is str
            and len(message) == 2
            and role != "tool"
            and role != "function"
        ):
            continue
        _check_message(message, role, param=f"messages[{position}]")


def _check_message(message: dict[str, Any], role: Any, *, param: str) -> None:
    if role is None:
        missing(f"{param}.role")
    wire_checks.text(role, f"{param}.role")
    if role not in _ROLES:
        wrong_value(
            f"{param}.role", f"expected one of {', '.join(sorted(_ROLES))}, but got '{role[:60]}'."
        )
    _check_content(message.get("content"), role, param=f"{param}.content")
    if message.get("audio") is not None:
        # It names an answer that the provider keeps, whose tokens nobody could bound.
        wire_checks.unsupported_value(
            f"{param}.audio", "audio is not stored here. Send its transcript as 'content'."
        )
    if role == "tool" and message.get("tool_call_id").__class__ is not str:
        missing(f"{param}.tool_call_id")
    if role == "function" and message.get("name").__class__ is not str:
        missing(f"{param}.name")
    if message.get("tool_calls") is not None:
        _check_tool_calls(message["tool_calls"], param=f"{param}.tool_calls")


def _check_content(content: Any, role: str, *, param: str) -> None:
    if content is None:
        # An assistant may have called tools instead; a function may have returned nothing.
        if role not in ("assistant", "function"):
            missing(param)
        return
    if content.__class__ is str:
        return
    if content.__class__ is not list:
        wrong_type(content, param, expected="a string or an array of content parts")
    if not content and role != "assistant":
        wrong_value(param, "the array has no content parts. Send at least one, or a string.")
    for position, part in enumerate(content):
        _check_part(part, param=f"{param}[{position}]")


def _check_part(part: Any, *, param: str) -> None:
    wire_checks.mapping(part, param)
    kind = part.get("type")
    if kind == "text":
        wire_checks.text(part.get("text"), f"{param}.text")
    elif kind == "image_url":
        _check_image(part.get("image_url"), param=f"{param}.image_url")
    elif kind == "input_audio":
        audio = part.get("input_audio")
        wire_checks.mapping(audio, f"{param}.input_audio")
        wire_checks.text(audio.get("data"), f"{param}.input_audio.data")
        wire_checks.text(audio.get("format"), f"{param}.input_audio.format")
    elif kind == "file":
        _check_file(part.get("file"), param=f"{param}.file")
    elif kind is None:
        missing(f"{param}.type")
    elif kind.__class__ is not str or kind not in _TEXT_PARTS:
        wrong_value(
            f"{param}.type",
            f"expected 'text', 'image_url', 'input_audio' or 'file', but got '{str(kind)[:60]}'.",
        )


def _check_image(image: Any, *, param: str) -> None:
    wire_checks.mapping(image, param)
    url = image.get("url")
    wire_checks.text(url, f"{param}.url")
    if not url.startswith(("https://", "http://", "data:")):
        wrong_value(f"{param}.url", "expected an http(s) address or a data: URL with the image.")
    if image.get("detail") is not None:
        DETAIL(image["detail"], f"{param}.detail")


def _check_file(file: Any, *, param: str) -> None:
    wire_checks.mapping(file, param)
    if file.get("file_id") is not None:
        wire_checks.unsupported_value(
            f"{param}.file_id", "files cannot be stored here. Send the content as 'file_data'."
        )
    wire_checks.text(file.get("file_data"), f"{param}.file_data")


def _check_tool_calls(calls: Any, *, param: str) -> None:
    if calls.__class__ is not list:
        wrong_type(calls, param, expected="an array of objects")
    for position, call in enumerate(calls):
        path = f"{param}[{position}]"
        wire_checks.mapping(call, path)
        wire_checks.text(call.get("id"), f"{path}.id")
        if call.get("type") == "custom":
            wire_checks.mapping(call.get("custom"), f"{path}.custom")
            continue
        function = call.get("function")
        wire_checks.mapping(function, f"{path}.function")
        wire_checks.text(function.get("name"), f"{path}.function.name")
        wire_checks.text(function.get("arguments"), f"{path}.function.arguments")
