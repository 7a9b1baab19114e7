"""Vectors as the customer asked for them: some servers ignore `encoding_format`, and strict clients break. Pure."""

import struct
from base64 import b64decode, b64encode
from typing import Any

from gateway.providers.base import ProviderError


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
