"""
A chat request as Gemini's: `systemInstruction` and `contents` from messages. Pure.

Source: https://ai.google.dev/api/generate-content and /gemini-api/docs/thought-signatures (read 2026-10). Reasoning
is replayed by its signature alone, byte for byte, from where `gemini_answer` put it; summaries are not sent back.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from gateway.providers.google import gemini_config, gemini_media
from gateway.providers.google.gemini_errors import refused

# Google's documented stand-in for calls that the model did not make itself (another model's history, or a client
# that dropped the signature): from Gemini 3 on, a call without any is refused.
_NO_SIGNATURE: Final = "skip_thought_signature_validator"
_SIGNED_FROM: Final = (3, 0)

Part = dict[str, Any]


def request_body(body: Mapping[str, Any], *, model: str) -> dict[str, Any]:
    """Return the body of generateContent. Raises ProviderError for what Gemini cannot do."""
    gemini_config.check(body)
    messages = body["messages"]
    system = list(_system_parts(messages))
    contents = _contents(messages, needs_signature=gemini_config.generation(model) >= _SIGNED_FROM)
    sent: dict[str, Any] = {"contents": contents or [{"role": "user", "parts": system}]}
    if system and contents:
        sent["systemInstruction"] = {"parts": system}
    sent.update(gemini_config.tools(body))
    sent["generationConfig"] = gemini_config.generation_config(body, model=model)
    return sent


def _system_parts(messages: Iterable[Mapping[str, Any]]) -> Iterable[Part]:
    """Yield the instructions, wherever they stand: Gemini has one place for all of them, before the rest."""
    for position, message in enumerate(messages):
        if message["role"] in ("system", "developer"):
            yield from _text_parts(message.get("content"), param=f"messages[{position}].content")


def _contents(
    messages: Iterable[Mapping[str, Any]], *, needs_signature: bool
) -> list[dict[str, Any]]:
    contents: list[dict[str, Any]] = []
    called: dict[str, str] = {}  # name of each call by its id
    answering = False
    for position, message in enumerate(messages):
        param, role = f"messages[{position}]", message["role"]
        if role in ("system", "developer"):
            continue
        if role == "function" or message.get("function_call"):
            raise refused("This model takes 'tool' messages and 'tool_calls'.", param=param)
        if role == "tool":
            part = _result(message, called, param=param)
            # Results of parallel calls belong into one content.
            if answering:
                contents[-1]["parts"].append(part)
            else:
                contents.append({"role": "user", "parts": [part]})
            answering = True
            continue
        answering = False
        parts = (
            _model_parts(message, called, needs_signature=needs_signature, param=param)
            if role == "assistant"
            else _user_parts(message["content"], param=f"{param}.content")
        )
        if parts:
            contents.append({"role": "model" if role == "assistant" else "user", "parts": parts})
    return contents


def _user_parts(content: Any, *, param: str) -> list[Part]:
    if isinstance(content, str):
        return [{"text": content}]
    return [_user_part(part, param=f"{param}[{at}]") for at, part in enumerate(content)]


def _user_part(part: Mapping[str, Any], *, param: str) -> Part:
    kind = part["type"]
    if kind == "image_url":
        return gemini_media.image_part(part["image_url"], param=param)
    if kind == "input_audio":
        return gemini_media.audio_part(part["input_audio"], param=param)
    if kind == "file":
        return gemini_media.file_part(part["file"], param=param)
    return {"text": _text(part, param=param)}


def _text_parts(content: Any, *, param: str) -> list[Part]:
    """Return parts for content that may only be text; empty texts, which Gemini refuses, are left out."""
    if isinstance(content, str):
        return [{"text": content}] if content else []
    texts = (
        _text(part, param=f"{param}[{at}]")
        for at, part in enumerate(content or ())
        if part["type"] != "thinking"
    )
    return [{"text": text} for text in texts if text]


def _text(part: Mapping[str, Any], *, param: str) -> str:
    text = part.get(part["type"])
    if part["type"] not in ("text", "refusal") or not isinstance(text, str):
        raise refused(
            f"This model takes no '{str(part['type'])[:60]}' here.", param=f"{param}.type"
        )
    return text


def _model_parts(
    message: Mapping[str, Any], called: dict[str, str], *, needs_signature: bool, param: str
) -> list[Part]:
    """Return the parts of an assistant message, its signatures where they were; notes each call in `called`."""
    parts = _text_parts(message.get("content") or message.get("refusal"), param=f"{param}.content")
    signature = _signature(message)
    if signature:
        if not parts:
            parts = [{"text": ""}]
        parts[-1]["thoughtSignature"] = signature
    calls = [
        _call(call, called, param=f"{param}.tool_calls[{at}]")
        for at, call in enumerate(message.get("tool_calls") or ())
    ]
    if calls and needs_signature:
        # Of parallel calls only the first one is signed.
        calls[0].setdefault("thoughtSignature", _NO_SIGNATURE)
    return parts + calls


def _call(call: Mapping[str, Any], called: dict[str, str], *, param: str) -> Part:
    function = call.get("function")
    if not isinstance(function, dict):
        raise refused("This model takes calls of type 'function' only.", param=f"{param}.type")
    called[call["id"]] = function["name"]
    arguments = _arguments(function["arguments"], param=f"{param}.function.arguments")
    part: Part = {"functionCall": {"id": call["id"], "name": function["name"], "args": arguments}}
    if signature := _signature(call):
        part["thoughtSignature"] = signature
    return part


def _arguments(text: str, *, param: str) -> dict[str, Any]:
    try:
        arguments = msgspec.json.decode(text) if text.strip() else {}
    except (msgspec.DecodeError, UnicodeEncodeError):
        arguments = None
    if not isinstance(arguments, dict):
        raise refused("The arguments of a call must be a JSON object.", param=param)
    return arguments


def _result(message: Mapping[str, Any], called: Mapping[str, str], *, param: str) -> Part:
    """Return a tool's result; its call's name, which Gemini wants, is found by the call's id."""
    call_id = message["tool_call_id"]
    if call_id not in called:
        raise refused(
            f"No message before has a tool call with the id '{call_id[:60]}'.",
            param=f"{param}.tool_call_id",
        )
    texts = _text_parts(message["content"], param=f"{param}.content")
    output = "".join(part["text"] for part in texts)
    return {
        "functionResponse": {
            "id": call_id,
            "name": called[call_id],
            "response": {"output": output},
        }
    }


def _signature(holder: Mapping[str, Any]) -> str:
    """Return the signature in `extra_content.google.thought_signature` of a message or call, or nothing."""
    extra = holder.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) else ""
