"""
Embeddings at Bedrock, which Converse has not: InvokeModel with the body of the model's maker. Pure.

Cohere (https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed-v4.html) takes many texts, Amazon's
Titan (model-parameters-titan-embed-text.html, both read 2026-11) one a call.
"""

from typing import Any, Final

from billing.types import TokenUsage
from gateway.providers import embedding_format
from gateway.providers.anthropic.anthropic_errors import unsupported
from gateway.providers.base import ProviderError
from gateway.providers.openai import openai_usage

Json = dict[str, Any]

_MAX_COHERE: Final = 96


def request_body(body: Json, *, model: str) -> Json:
    """Return the body for InvokeModel. Raises ProviderError."""
    inputs = embedding_format.texts(body)
    if "cohere.embed" in model:
        return _cohere(inputs, body)
    if "amazon.titan-embed-text" in model:
        return _titan(inputs, body)
    unsupported("model", "This model makes no embeddings. GET /v1/models lists those that do.")


def _cohere(inputs: list[str], body: Json) -> Json:
    if len(inputs) > _MAX_COHERE:
        unsupported("input", f"This model takes at most {_MAX_COHERE} inputs a call.")
    sent: Json = {
        "texts": inputs,
        "input_type": "search_document",
        "truncate": "NONE",
        "embedding_types": ["float"],
    }
    return {**sent, "output_dimension": body["dimensions"]} if "dimensions" in body else sent


def _titan(inputs: list[str], body: Json) -> Json:
    if len(inputs) > 1:
        unsupported("input", "This model takes one input a call. Send one text.")
    sent: Json = {"inputText": inputs[0]}
    return {**sent, "dimensions": body["dimensions"]} if "dimensions" in body else sent


def vectors(answer: Json) -> list[Any]:
    """Return the vectors of an answer. Raises ProviderError."""
    found = answer.get("embeddings")
    if isinstance(found, dict):
        found = found.get("float")
    if found is None and "embedding" in answer:
        found = [answer["embedding"]]
    if not isinstance(found, list) or not all(isinstance(vector, list) for vector in found):
        raise ProviderError("bad_answer", "The provider's answer has no embeddings.")
    return found


def usage(answer: Json) -> TokenUsage | None:
    """Return the usage where the body tells it (Titan); Cohere's stands in a header, so that ours is counted."""
    tokens = openai_usage.count(answer.get("inputTextTokenCount"))
    return TokenUsage(input_tokens=tokens) if tokens else None
