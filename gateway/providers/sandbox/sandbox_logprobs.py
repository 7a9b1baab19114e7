"""Probabilities of tokens as the sandbox makes them up: the same for the same token, in OpenAI's two forms. Pure."""

from typing import Any, Final
from zlib import crc32

from gateway import vocabulary

# What might have come instead, each less likely than the one before.
_OTHERS: Final = tuple(
    "the and of to in that is it for on with as was at by this an be or from".split()
)
_SCALE: Final = 10_000


def chat(text: str, *, model: str, top: int) -> dict[str, Any]:
    """Return `logprobs` of a choice, with the `top` likeliest tokens of each place."""
    tokens = [{**token, "top_logprobs": _top(token, top)} for token in plain(text, model=model)]
    return {"content": tokens, "refusal": None}


def plain(text: str, *, model: str) -> list[dict[str, Any]]:
    """Return the tokens of a text, as transcripts tell them."""
    encoding = vocabulary.encoding(vocabulary.encoding_for(model))
    parts = encoding.decode_tokens_bytes(encoding.encode_ordinary(text))
    return [_token(part) for part in parts]


def _token(part: bytes) -> dict[str, Any]:
    logprob = -(crc32(part) % (_SCALE // 10)) / _SCALE
    return {
        "token": part.decode(errors="replace"),
        "logprob": logprob,
        "bytes": list(part),
    }


def _top(token: dict[str, Any], top: int) -> list[dict[str, Any]]:
    others = [_token(f" {word}".encode()) for word in _OTHERS if f" {word}" != token["token"]]
    for place, other in enumerate(others, start=3):
        other["logprob"] = -float(place)
    return [token, *others][:top]
