"""A whole chat answer of one choice from its translated parts: for providers that answer in one message. Pure."""

from typing import Any

from billing.types import TokenUsage
from gateway.providers.base import ServeAs, WholeAnswer
from gateway.providers.openai import openai_usage


def answer(
    message: dict[str, Any],
    *,
    ending: dict[str, Any],
    text: str,
    usage: TokenUsage | None,
    extra_usage: dict[str, Any],
    upstream_id: str,
    serve_as: ServeAs,
) -> WholeAnswer:
    """Return the answer in OpenAI's form. `text` is all of its output, `ending` has `finish_reason` and its kin."""
    body: dict[str, Any] = {
        "id": serve_as.id,
        "object": "chat.completion",
        "created": serve_as.created,
        "model": serve_as.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, **ending}],
    }
    if usage is not None:
        body["usage"] = openai_usage.wire_usage(usage, extra=extra_usage)
    return WholeAnswer(
        body=body,
        usage=usage,
        upstream_id=upstream_id,
        finish_reason=ending["finish_reason"],
        has_output=bool(text),
        output_text=text if usage is None else "",
    )
