"""
Embeddings in OpenAI's form, whoever made them: inputs as texts, vectors as the customer asked for them. Pure.

Some servers ignore `encoding_format`, and strict clients break.
"""

import struct
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Any

from billing.types import TokenUsage
from gateway.providers.base import ProviderError, ServeAs, WholeAnswer
from gateway.providers.openai import quirks


def texts(body: dict[str, Any]) -> list[str]:
    """Return the inputs of a request as texts, for providers that take no tokens. Raises ProviderError."""
    body = dict(body)
    quirks.write_texts_for_tokens(body)
    inputs: str | list[str] = body["input"]
    return [inputs] if isinstance(inputs, str) else inputs


def answer(
    vectors: Iterable[Any], *, usage: TokenUsage | None, serve_as: ServeAs, upstream_id: str = ""
) -> WholeAnswer:
    """Return the answer that holds these vectors, in the order of the inputs."""
    rows = [
        {"object": "embedding", "index": index, "embedding": vector}
        for index, vector in enumerate(vectors)
    ]
    body: dict[str, Any] = {"object": "list", "data": rows, "model": serve_as.model}
    if usage is not None:
        tokens = usage.input_tokens
        body["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return WholeAnswer(body=body, usage=usage, upstream_id=upstream_id)


def write_as(body: dict[str, Any], *, encoding_format: str) -> None:
    """Turn every vector of an embeddings answer into `float` or `base64` (little-endian float32), in place."""
    for row in body["data"]:
        vector = row["embedding"]
        if encoding_format == "base64" and isinstance(vector, list):
            row["embedding"] = _packed(vector)
        elif encoding_format == "float" and isinstance(vector, str):
            row["embedding"] = _unpacked(vector)


def _packed(vector: list[Any]) -> str:
    try:
        return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    except (struct.error, OverflowError):
        raise _bad_answer() from None


def _unpacked(text: str) -> list[float]:
    try:
        data = b64decode(text, validate=True)
        return list(struct.unpack(f"<{len(data) // 4}f", data))
    except (struct.error, ValueError):
        raise _bad_answer() from None


def _bad_answer() -> ProviderError:
    return ProviderError("bad_answer", "The provider's answer has a vector that is none.")
