"""HTML pages of the catalog: the list of models, one model, and some side by side."""

from dataclasses import replace

from django.core.paginator import Page, Paginator
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_cookie

from billing.types import TokenUsage
from exerati.drawing import formats
from gateway.catalog import catalog_compare, catalog_detail, catalog_filters, catalog_pages
from gateway.catalog.catalog_filters import (
    CAPABILITIES,
    CONTEXT_STEPS,
    MICROUSD_PER_CENT,
    PRICE_STEPS_CENTS,
    SORT_TITLES,
    STATUS_TITLES,
    CatalogFilters,
    Found,
)
from gateway.catalog.catalog_pages import CatalogRow, owner_title
from gateway.documentation import docs_pages, docs_values
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
VIEWS = ("table", "cards")
PAGE_ROWS = 100  # a thousand on one page would weigh more than a page may
# Kinds whose sample call is the documentation's: its page, and the model that the page names.
SAMPLE_PAGES = {
    Model.Kind.EMBEDDING: ("embeddings", "text-embedding-ada-002"),
    Model.Kind.IMAGE: ("images", "gpt-image-2"),
    Model.Kind.SPEECH: ("audio", "tts-1"),
    Model.Kind.TRANSCRIPTION: ("audio", "whisper-1"),
    Model.Kind.MODERATION: ("moderations", "omni-moderation-latest"),
    Model.Kind.RERANK: ("rerank", "rerank-v3.5"),
}
MAX_ESTIMATE_TOKENS = 10_000_000_000
SAMPLE_TOKENS = TokenUsage(input_tokens=1_000, output_tokens=500)


@require_safe
@vary_on_cookie
def catalog(request: HttpRequest) -> HttpResponse:
    """List the models with their prices; every filter is in the address."""
    listed = catalog_pages.for_sale(now=timezone.now())
    call = _call_tokens(request.GET)
    if call is not None:
        listed = catalog_pages.with_call(listed, usage=call)
    filters = _filters(request.GET, has_call=call is not None)
    found = catalog_filters.select(listed, filters)
    shown_as = "cards" if request.GET.get("view") == "cards" else "table"
    page = Paginator(found.rows, PAGE_ROWS).get_page(request.GET.get("page"))
    context = {
        "rows": page.object_list,
        "found": len(found.rows),
        **_pages(request.GET, page),
        "total": len(listed),
        "filters": filters,
        "call": call,
        "shown_as": shown_as,
        "view_links": [
            (
                name.capitalize(),
                _link(request.GET, view=name if name != VIEWS[0] else ""),
                name == shown_as,
            )
            for name in VIEWS
        ],
        "kind_links": _kind_links(request.GET, found, filters),
        **_choices(listed, filters, has_call=call is not None),
        "is_filtered": filters != CatalogFilters(sort=filters.sort),
        "compare_most": catalog_compare.MOST,
        "nav_active": "catalog",
    }
    return render(request, "gateway/catalog.html", context)


@require_safe
@vary_on_cookie
def model_page(request: HttpRequest, name: str) -> HttpResponse:
    """Show one model: limits, prices and their history, routes, parameters, snippets, and what a call costs."""
    found = catalog_detail.detail(name, now=timezone.now())
    if found is None:
        raise Http404
    row = found.row
    usage = _estimate_tokens(request.GET, row)
    context = {
        "model": found,
        "row": row,
        "kind_title": KIND_TITLES[Model.Kind(row.kind)],
        "usage": usage,
        "has_output_rate": row.rates.output_microusd_per_mtok is not None,
        "estimate": catalog_pages.estimate(row.price, usage=usage),
        "snippets": _snippets(row),
        "playground_url": _playground_url(row),
        "compare_url": f"{reverse('compare')}?model={row.name}",
        "nav_active": "catalog",
    }
    return render(request, "gateway/model.html", context)


@require_safe
@vary_on_cookie
def compare(request: HttpRequest) -> HttpResponse:
    """Show two to four models side by side; without any, which could be."""
    listed = catalog_pages.for_sale(now=timezone.now())
    call = _call_tokens(request.GET) or SAMPLE_TOKENS
    chosen = catalog_compare.choose(listed, request.GET.getlist("model"))
    chosen = catalog_pages.with_call(chosen, usage=call)
    context = {
        "rows": chosen,
        "facts": [
            (fact, [(row.title, *cell) for row, cell in zip(chosen, fact.cells, strict=True)])
            for fact in catalog_compare.facts(chosen)
        ],
        "choices": [
            ("", "No model"),
            *((row.name, row.title) for row in listed if not row.is_retired),
        ],
        "slots": [row.name for row in chosen] + [""] * (catalog_compare.MOST - len(chosen)),
        "call": call,
        "nav_active": "catalog",
    }
    return render(request, "gateway/compare.html", context)


def _snippets(row: CatalogRow) -> str:
    """Return a sample call of a model that is no chat, "" for chats."""
    if row.kind not in SAMPLE_PAGES:
        return ""
    slug, example = SAMPLE_PAGES[Model.Kind(row.kind)]
    values = docs_values.values()
    return docs_pages.snippets_with(example, slug=slug, instead=row.name, values=values)


def _playground_url(row: CatalogRow) -> str:
    """Return the address of one's own playground with this model, "" for what it cannot call."""
    if row.kind != Model.Kind.CHAT or row.is_retired:
        return ""
    return f"{reverse('dashboard:own_playground')}?{urlencode({'model': row.name})}"


def _choices(
    listed: list[CatalogRow], filters: CatalogFilters, *, has_call: bool
) -> dict[str, object]:
    """Return the choices of every filter."""
    sorts = [item for item in SORT_TITLES.items() if has_call or item[0] != "call"]
    prices = [
        (str(cents), f"Up to {formats.price_text(cents * MICROUSD_PER_CENT)}")
        for cents in PRICE_STEPS_CENTS
    ]
    contexts = [(str(n), f"{n // 1000:,}k or more") for n in CONTEXT_STEPS]
    return {
        "owners": _owners(listed),
        "modalities": [("", "Any input"), *MODALITIES],
        "contexts": [("", "Any context"), *contexts],
        "context_chosen": str(filters.context or ""),
        "prices": [("", "Any price"), *prices],
        "price_chosen": str(filters.price_cents or ""),
        "statuses": list(STATUS_TITLES.items()),
        "sorts": sorts,
        "features": [
            (name, title, name in filters.features) for name, title in CAPABILITIES.items()
        ],
    }


def _filters(query: QueryDict, *, has_call: bool) -> CatalogFilters:
    """Return the filters of an address; what it does not understand is left out."""
    status, sort = query.get("status", ""), query.get("sort", "call" if has_call else "")
    found = CatalogFilters(
        search=query.get("q", "").strip(),
        kind=query.get("kind", "") if query.get("kind") in Model.Kind.values else "",
        owner=query.get("provider", ""),
        modality=query.get("input", "") if query.get("input") in dict(MODALITIES) else "",
        features=tuple(name for name in CAPABILITIES if name in query.getlist("feature")),
        context=_small_number(query.get("context", "")),
        price_cents=_small_number(query.get("price", "")),
    )
    found = next((replace(found, status=name) for name in STATUS_TITLES if name == status), found)
    return next((replace(found, sort=name) for name in SORT_TITLES if name == sort), found)


def _small_number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _pages(query: QueryDict, page: Page[CatalogRow]) -> dict[str, object]:
    """Return the links between the pages of the list, and the query of this one if it is a page of the whole list."""
    last = page.paginator.num_pages

    def link(number: int) -> str:
        found = _link(query, page=str(number) if number > 1 else "")
        return reverse("catalog") + found.removesuffix("?")

    return {
        "page_note": f"{page.start_index():,} to {page.end_index():,} of {page.paginator.count:,}"
        if last > 1
        else "",
        "page_links": [
            (str(number), link(number) if isinstance(number, int) else "", number == page.number)
            for number in page.paginator.get_elided_page_range(page.number)
        ]
        if last > 1
        else [],
        "previous_url": link(page.number - 1) if page.number > 1 else "",
        "next_url": link(page.number + 1) if page.number < last else "",
        "canonical_query": f"?page={page.number}"
        if page.number > 1 and set(query) == {"page"}
        else "",
    }


def _kind_links(query: QueryDict, found: Found, filters: CatalogFilters) -> list[Link]:
    """Return the kinds with the number of models each would show."""
    everything = sum(count for _, count in found.kinds)
    links = [(f"All {everything}", _link(query, kind="", page=""), filters.kind == "")]
    for kind, count in found.kinds:
        words = f"{KIND_TITLES[Model.Kind(kind)]} {count}"
        links.append((words, _link(query, kind=kind, page=""), filters.kind == kind))
    return links


def _link(query: QueryDict, **values: str) -> str:
    """Return the address with other values; an empty one is left out."""
    changed = query.copy()
    for name, value in values.items():
        changed.pop(name, None)
        if value:
            changed[name] = value
    return f"?{changed.urlencode()}"


def _owners(listed: list[CatalogRow]) -> list[tuple[str, str]]:
    """Return (value, title) of every maker, by title."""
    names = {row.owned_by for row in listed}
    return [
        ("", "All providers"),
        *sorted(((n, owner_title(n)) for n in names), key=lambda o: o[1].lower()),
    ]


def _call_tokens(query: QueryDict) -> TokenUsage | None:
    """Return the tokens of the call that the visitor wants to know the cost of, None if they gave none."""
    given = [_count(query.get(name, "")) for name in ("in", "out")]
    if not any(given):
        return None
    return TokenUsage(input_tokens=given[0] or 0, output_tokens=given[1] or 0)


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
