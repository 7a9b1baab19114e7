"""
Converse's content blocks as Anthropic's, which the same code turns into OpenAI's message. Pure.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html (read 2026-11). What Amazon's
own tools did stays whole in `provider_blocks`; an unknown kind of content is an error.
"""

from collections.abc import Iterable
from typing import Any, Final

from gateway.providers.amazon.bedrock_messages import REDACTED_FORMAT
from gateway.providers.base import ProviderError

Json = dict[str, Any]

# Reasons that mean there is no answer to use
# (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_ResponseSyntax).
_FAILED: Final = frozenset({"malformed_model_output", "malformed_tool_use"})


def blocks(content: Iterable[Any]) -> list[Json]:
    """Return the blocks of a whole answer. Raises ProviderError."""
    return [_block(found) for found in content]


def check_reason(reason: object) -> None:
    """Raise ProviderError where the model's own words broke off its answer."""
    if reason in _FAILED:
        raise ProviderError("server", "The provider broke off its answer.", code=str(reason))


def tool_use(raw: Json) -> Json:
    """Return the block for a `toolUse`, the customer's or one of Amazon's own."""
    kind = "server_tool_use" if raw.get("type") == "server_tool_use" else "tool_use"
    return {
        "type": kind,
        "id": raw.get("toolUseId") or "",
        "name": raw.get("name") or "",
        "input": raw.get("input") or {},
    }


def tool_result(raw: Json) -> Json:
    """Return the block for a result of Amazon's own tools; `name` is Amazon's word for its kind."""
    return {
        "type": "bedrock_tool_result",
        "name": str(raw.get("type") or ""),
        "tool_use_id": raw.get("toolUseId") or "",
        "status": raw.get("status") or "success",
        "content": raw.get("content") or [],
    }


def reasoning(raw: Json) -> Json:
    """Return the block for a `reasoningContent`; signatures and redacted bytes are not touched."""
    if "redactedContent" in raw:
        return redacted(raw["redactedContent"])
    text = _mapping(raw.get("reasoningText"))
    block = {"type": "thinking", "thinking": text.get("text") or ""}
    return {**block, "signature": text["signature"]} if text.get("signature") else block


def redacted(data: object) -> Json:
    """Return the block for thinking that only the model can read."""
    return {"type": "redacted_thinking", "data": data, "format": REDACTED_FORMAT}


def citation(raw: Json) -> Json:
    """Return a citation with the address of a web page where OpenAI's form wants it."""
    web = _mapping(_mapping(raw.get("location")).get("web"))
    if not web.get("url"):
        return raw
    return {**raw, "url": web["url"], "title": raw.get("title") or web.get("domain")}


def _cited(raw: Json) -> Json:
    texts = [str(part.get("text") or "") for part in raw.get("content") or ()]
    sources = [citation(item) for item in raw.get("citations") or ()]
    return {"type": "text", "text": "".join(texts), "citations": sources}


def _block(found: Any) -> Json:
    if not isinstance(found, dict):
        raise _unknown()
    if isinstance(found.get("text"), str):
        return {"type": "text", "text": found["text"]}
    for name, read in _READERS.items():
        if isinstance(raw := found.get(name), dict):
            try:
                return read(raw)
            except (AttributeError, TypeError):
                raise ProviderError(
                    "bad_answer", "The provider's answer has malformed content."
                ) from None
    raise _unknown()


_READERS: Final = {
    "toolUse": tool_use,
    "toolResult": tool_result,
    "reasoningContent": reasoning,
    "citationsContent": _cited,
}


def _unknown() -> ProviderError:
    return ProviderError("bad_answer", "The provider's answer has content of an unknown kind.")


def _mapping(value: object) -> Json:
    return value if isinstance(value, dict) else {}
