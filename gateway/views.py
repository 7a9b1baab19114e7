"""HTML pages of the catalog: the list of models, and one model."""

from dataclasses import replace

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_cookie

from billing.types import TokenUsage
from gateway import catalog_pages
from gateway.catalog_pages import (
    CONTEXT_STEPS,
    FEATURE_TITLES,
    SORT_TITLES,
    CatalogFilters,
    CatalogRow,
    Found,
    owner_title,
)
from gateway.models import Model

Link = tuple[str, str, bool]

KIND_TITLES = {
    Model.Kind.CHAT: "Chat",
    Model.Kind.EMBEDDING: "Embeddings",
    Model.Kind.IMAGE: "Images",
    Model.Kind.SPEECH: "Speech",
    Model.Kind.TRANSCRIPTION: "Transcription",
    Model.Kind.RERANK: "Rerank",
    Model.Kind.MODERATION: "Moderation",
}
MODALITIES = (
    ("text", "Text"),
    ("image", "Image"),
    ("audio", "Audio"),
    ("video", "Video"),
    ("file", "File"),
)
CHOSEN_FEATURES = ("tools", "structured_output", "reasoning", "open_weights")
MAX_ESTIMATE_TOKENS = 10_000_000_000
SAMPLE_TOKENS = TokenUsage(input_tokens=1_000, output_tokens=500)


@require_safe
@vary_on_cookie
def catalog(request: HttpRequest) -> HttpResponse:
    """List the models with their prices; every filter is in the address."""
    listed = catalog_pages.rows(now=timezone.now())
    filters = _filters(request.GET)
    found = catalog_pages.select(listed, filters)
    context = {
        "rows": found.rows,
        "total": len(listed),
        "filters": filters,
        "kind_links": _kind_links(request.GET, found, filters),
        "owners": _owners(listed),
        "modalities": [("", "Any input"), *MODALITIES],
        "contexts": [
            ("", "Any context"),
            *((str(n), f"{n // 1000:,}k or more") for n in CONTEXT_STEPS),
        ],
        "context_chosen": str(filters.context or ""),
        "sorts": list(SORT_TITLES.items()),
        "features": [
            (name, FEATURE_TITLES[name], name in filters.features) for name in CHOSEN_FEATURES
        ],
        "is_filtered": filters != CatalogFilters(sort=filters.sort),
        "nav_active": "catalog",
    }
    return render(request, "gateway/catalog.html", context)


@require_safe
@vary_on_cookie
def model_page(request: HttpRequest, name: str) -> HttpResponse:
    """Show one model: limits, prices and their history, routes, parameters, snippets, and what a call costs."""
    now = timezone.now()
    found = catalog_pages.detail(name, now=now)
    if found is None:
        raise Http404
    usage = _estimate_tokens(request.GET, found.row)
    context = {
        "model": found,
        "row": found.row,
        "kind_title": KIND_TITLES[Model.Kind(found.row.kind)],
        "is_retired": found.row.shutdown_on is not None and found.row.shutdown_on <= now.date(),
        "usage": usage,
        "has_output_rate": found.row.rates.output_microusd_per_mtok is not None,
        "estimate": catalog_pages.estimate(found.row.price, usage=usage),
        "nav_active": "catalog",
    }
    return render(request, "gateway/model.html", context)


def _filters(query: QueryDict) -> CatalogFilters:
    """Return the filters of an address; what it does not understand is left out."""
    sort = query.get("sort", "")
    context = query.get("context", "")
    found = CatalogFilters(
        search=query.get("q", "").strip(),
        kind=query.get("kind", "") if query.get("kind") in Model.Kind.values else "",
        owner=query.get("provider", ""),
        modality=query.get("input", "") if query.get("input") in dict(MODALITIES) else "",
        features=tuple(name for name in CHOSEN_FEATURES if name in query.getlist("feature")),
        context=int(context) if context.isdecimal() and len(context) < 10 else 0,
    )
    return next((replace(found, sort=name) for name in SORT_TITLES if name == sort), found)


def _kind_links(query: QueryDict, found: Found, filters: CatalogFilters) -> list[Link]:
    """Return the kinds with the number of models each would show."""
    everything = sum(count for _, count in found.kinds)
    links = [(f"All {everything}", _link(query, kind=""), filters.kind == "")]
    for kind, count in found.kinds:
        words = f"{KIND_TITLES[Model.Kind(kind)]} {count}"
        links.append((words, _link(query, kind=kind), filters.kind == kind))
    return links


def _link(query: QueryDict, *, kind: str) -> str:
    """Return the address with another kind."""
    changed = query.copy()
    changed.pop("kind", None)
    if kind:
        changed["kind"] = kind
    return f"?{changed.urlencode()}"


def _owners(listed: list[CatalogRow]) -> list[tuple[str, str]]:
    """Return (value, title) of every maker, by title."""
    names = {row.owned_by for row in listed}
    return [
        ("", "All providers"),
        *sorted(((n, owner_title(n)) for n in names), key=lambda o: o[1].lower()),
    ]


def _estimate_tokens(query: QueryDict, row: CatalogRow) -> TokenUsage:
    """Return the tokens of the estimate form, or a sample; output only where the model has such a rate."""
    tokens = {name: _count(query.get(name, "")) for name in ("input", "cached", "output")}
    if tokens["input"] is None:
        tokens = {
            "input": SAMPLE_TOKENS.input_tokens,
            "cached": 0,
            "output": SAMPLE_TOKENS.output_tokens,
        }
    has_output = row.rates.output_microusd_per_mtok is not None
    return TokenUsage(
        input_tokens=tokens["input"] or 0,
        cache_read_tokens=min(tokens["cached"] or 0, tokens["input"] or 0),
        output_tokens=(tokens["output"] or 0) if has_output else 0,
    )


def _count(text: str) -> int | None:
    """Return a count of tokens as people write it (1,000), None for anything else."""
    digits = text.replace(",", "").replace(" ", "")
    if not digits.isdecimal() or len(digits) > 11:
        return None
    return min(int(digits), MAX_ESTIMATE_TOKENS)
