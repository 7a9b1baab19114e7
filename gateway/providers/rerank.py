"""
Reranking: the requests of Cohere, Voyage and all that copied them (Jina, vLLM, llama.cpp, ...), and one answer. Pure.

Sources, read 2026-11: https://docs.cohere.com/reference/rerank, https://docs.voyageai.com/reference/reranker-api,
https://api.jina.ai/redoc (rerank); recorded answers of the first two.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from billing.types import TokenUsage
from gateway.providers.base import ProviderError, ServeAs, Upstream, UpstreamRequest, WholeAnswer
from gateway.providers.openai import openai_media
from gateway.providers.openai.openai_usage import count

SPEAKING: Final = openai_media.SPEAKING | {"cohere"}
_COHERE_COMPATIBLE: Final = "/compatibility/v1"


def request(
    upstream: Upstream,
    *,
    upstream_model: str,
    query: str,
    documents: Sequence[str],
    top_n: int | None,
    max_tokens_per_doc: int | None,
) -> UpstreamRequest:
    """Return the request; documents are never asked back, since the customer's are at hand."""
    body: dict[str, Any] = {"model": upstream_model, "query": query, "documents": list(documents)}
    if top_n is not None:
        body["top_k" if _is_voyage(upstream) else "top_n"] = min(top_n, len(documents))
    if max_tokens_per_doc is not None and not _is_voyage(upstream):
        body["max_tokens_per_doc"] = max_tokens_per_doc
    base = upstream.base_url.rstrip("/")
    path = "/rerank"
    if base.endswith(
        _COHERE_COMPATIBLE
    ):  # OpenAI's dialect of Cohere has no rerank; its own API does
        path, base = "/v2/rerank", base.removesuffix(_COHERE_COMPATIBLE)
    at_base = Upstream(
        name=upstream.name,
        api=upstream.api,
        base_url=base,
        credential=upstream.credential,
        quirks=upstream.quirks,
    )
    return openai_media.json_request(at_base, path=path, body=body)


def answer(
    data: bytes, *, serve_as: ServeAs, documents: Sequence[str], return_documents: bool
) -> WholeAnswer:
    """Return the order in the form that Cohere and Jina share, best first. Raises ProviderError."""
    body = openai_media.decoded(data)
    found = body.get("results", body.get("data"))  # Voyage: data
    if not isinstance(found, list):
        raise ProviderError("bad_answer", "The provider's answer has no results.")
    results = [_result(item, documents, return_documents) for item in found]
    results.sort(key=lambda result: -float(result["relevance_score"]))
    usage = _usage(body)
    told = {
        "object": "list",
        "id": serve_as.id,
        "model": serve_as.model,
        "results": results,
        "meta": {"billed_units": _billed_units(usage)},
        "usage": _wire_usage(usage),
    }
    return WholeAnswer(
        body=told, usage=usage, upstream_id=str(body.get("id") or ""), has_output=bool(results)
    )


def _result(item: Any, documents: Sequence[str], return_documents: bool) -> dict[str, Any]:
    index = item.get("index") if isinstance(item, dict) else None
    score = item.get("relevance_score", item.get("score")) if isinstance(item, dict) else None
    if not isinstance(index, int) or not 0 <= index < len(documents):
        raise ProviderError("bad_answer", "The provider ranked a document that was not sent.")
    if not isinstance(score, int | float):
        raise ProviderError("bad_answer", "The provider's answer has a result without a score.")
    result: dict[str, Any] = {"index": index, "relevance_score": score}
    if return_documents:
        result["document"] = {"text": documents[index]}
    return result


def _usage(body: Mapping[str, Any]) -> TokenUsage | None:
    """Cohere tells `meta.billed_units.search_units`, the others `usage.total_tokens`; None: nothing was told."""
    meta = body.get("meta")
    billed = meta.get("billed_units") if isinstance(meta, dict) else None
    searches = count(billed.get("search_units")) if isinstance(billed, dict) else 0
    usage = body.get("usage")
    tokens = count(usage.get("total_tokens")) if isinstance(usage, dict) else 0
    if not searches and not tokens:
        return None
    return TokenUsage(input_tokens=tokens, searches=searches, calls=1)


def _billed_units(usage: TokenUsage | None) -> dict[str, int]:
    return {"search_units": usage.searches} if usage and usage.searches else {}


def _wire_usage(usage: TokenUsage | None) -> dict[str, Any]:
    tokens = usage.input_tokens if usage else 0
    return {"prompt_tokens": tokens, "total_tokens": tokens}


def _is_voyage(upstream: Upstream) -> bool:
    return "rerank_top_k" in upstream.quirks
