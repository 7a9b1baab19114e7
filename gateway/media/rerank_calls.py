"""
Requests to put documents in order: what is checked, and the most they may use. Pure.

OpenAI has no such route. The request is the one that Cohere (v1 and v2), Jina and the gateways after them share:
`model`, `query`, `documents` (texts, or objects with `text`), `top_n`, `return_documents`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from billing.types import Price, TokenBound, TokenUsage
from gateway import wire_checks
from gateway.media import units
from gateway.serializers import checked_fields
from gateway.tokens import count_text
from gateway.wire_checks import Check, missing, wrong_type, wrong_value

MAX_DOCUMENTS: Final = 1_000  # Cohere's and Voyage's limit
# Cohere bills a search for each 100 documents; one of more than 500 tokens, the query's included, counts as several
# (https://cohere.com/pricing and https://docs.cohere.com/docs/rerank-best-practices, read 2026-11).
_DOCUMENTS_PER_SEARCH: Final = 100
_CHUNK_TOKENS: Final = 500
_LEAST_CHUNK_TOKENS: Final = 100
_DOCUMENT_TOKENS: Final = (
    4_096  # what is read of a document unless `max_tokens_per_doc` says otherwise
)
_PER_DOCUMENT: Final = 8


@dataclass(frozen=True, slots=True)
class RerankCall:
    """A checked request; the documents are texts."""

    model: str
    query: str
    documents: tuple[str, ...]
    top_n: int | None = None
    max_tokens_per_doc: int | None = None
    return_documents: bool = False
    ignored: tuple[str, ...] = ()

    def bound(self, price: Price) -> TokenBound:
        """Return the most this call may use. Raises PriceMissing."""
        rates = units.require(price, "search_nanousd", "call_nanousd", "input_microusd_per_mtok")
        query = units.bytes_of(self.query)
        documents = units.bytes_of(*self.documents)
        bound = TokenBound(
            # Voyage counts the query once for each document (https://docs.voyageai.com/docs/reranker, read 2026-11).
            input_tokens=documents + (query + _PER_DOCUMENT) * len(self.documents),
            searches=self._searches(query_tokens=query),
        )
        return units.priced(bound, rates=rates)

    def as_asked(self, price: Price) -> TokenUsage:
        """Return what the call uses, where the provider does not tell."""
        query = count_text(self.query, model=self.model)
        documents = count_text("\n".join(self.documents), model=self.model)
        usage = TokenUsage(
            input_tokens=documents + query * len(self.documents),
            searches=-(-len(self.documents) // _DOCUMENTS_PER_SEARCH),
            calls=1,
        )
        return units.priced(usage, rates=price.rates)

    def _searches(self, *, query_tokens: int) -> int:
        chunk = max(_CHUNK_TOKENS - query_tokens, _LEAST_CHUNK_TOKENS)
        most = self.max_tokens_per_doc or _DOCUMENT_TOKENS
        sizes = (min(units.bytes_of(text), most) for text in self.documents)
        chunks = sum(max(1, -(-size // chunk)) for size in sizes)
        return -(-chunks // _DOCUMENTS_PER_SEARCH)


def parse_rerank(body: dict[str, Any]) -> RerankCall:
    """Return the checked call of POST /v1/rerank. Raises InvalidRequest."""
    known, ignored = checked_fields(body, _CHECKS)
    for name in ("model", "query", "documents"):
        if name not in known:
            missing(name)
    return RerankCall(
        model=known["model"],
        query=known["query"],
        documents=tuple(map(_text_of, known["documents"])),
        top_n=known.get("top_n", known.get("top_k")),
        max_tokens_per_doc=known.get("max_tokens_per_doc"),
        return_documents=known.get("return_documents", False),
        ignored=ignored,
    )


def _text_of(document: Any) -> str:
    text: str = document if isinstance(document, str) else document["text"]
    return text


def _query(value: Any, param: str) -> None:
    wire_checks.text(value, param)
    if not value:
        wrong_value(param, "the text is empty. Send at least one character.")


def _documents(value: Any, param: str) -> None:
    if value.__class__ is not list:
        wrong_type(value, param, expected="an array of strings")
    if not 0 < len(value) <= MAX_DOCUMENTS:
        wrong_value(param, f"expected 1 to {MAX_DOCUMENTS:,} documents, but got {len(value)}.")
    for position, item in enumerate(value):
        path = f"{param}[{position}]"
        if item.__class__ is dict:
            wire_checks.text(item.get("text"), f"{path}.text")
        else:
            wire_checks.text(item, path)


_CHECKS: Final[Mapping[str, Check]] = {
    "model": wire_checks.name,
    "query": _query,
    "documents": _documents,
    "top_n": wire_checks.integer(1, MAX_DOCUMENTS),
    "top_k": wire_checks.integer(1, MAX_DOCUMENTS),
    "max_tokens_per_doc": wire_checks.integer(1, 100_000),
    "return_documents": wire_checks.boolean,
}
