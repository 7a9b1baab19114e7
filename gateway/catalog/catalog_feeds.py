"""The catalog for programs: all of it as JSON, and what changed in it as RSS."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.feedgenerator import Rss201rev2Feed
from django.views.decorators.http import require_safe

from billing import price_book
from billing.models import PriceVersion
from billing.types import RATE_NAMES
from exerati.drawing import formats
from gateway.catalog import catalog_pages, price_history
from gateway.catalog.catalog_pages import CatalogRow

NEWS_FOR = timedelta(days=180)
MOST_NEWS = 100
ANYBODY = {"Access-Control-Allow-Origin": "*", "Cache-Control": "public, max-age=60"}


@dataclass(frozen=True, slots=True)
class News:
    """Something that changed for one model."""

    at: datetime
    kind: str
    row: CatalogRow
    title: str
    words: str


@require_safe
def as_json(request: HttpRequest) -> JsonResponse:
    """Return every listed model with its integer prices; needs no key."""
    listed = catalog_pages.for_sale(now=timezone.now())
    return JsonResponse({"data": [_wire(row) for row in listed]}, headers=ANYBODY)


@require_safe
def as_rss(request: HttpRequest) -> HttpResponse:
    """Return what changed lately: models that came, were deprecated or switched off, and prices that changed."""
    feed = Rss201rev2Feed(
        title="Exerati models and prices",
        link=settings.SITE_URL + reverse("catalog"),
        description="New models, retirements and changes of price.",
        feed_url=settings.SITE_URL + reverse("catalog_rss"),
    )
    for one in news(now=timezone.now()):
        link = settings.SITE_URL + reverse("model_page", args=[one.row.name])
        feed.add_item(
            title=one.title,
            link=link,
            description=one.words,
            pubdate=one.at,
            unique_id=f"{one.kind}:{one.row.name}:{one.at:%Y-%m-%d}",
            unique_id_is_permalink=False,
        )
    return HttpResponse(
        feed.writeString("utf-8"),
        content_type="application/rss+xml; charset=utf-8",
        headers=ANYBODY,
    )


def news(*, now: datetime) -> list[News]:
    """Return what changed in the last half year, newest first."""
    listed = {row.name: row for row in catalog_pages.for_sale(now=now)}
    found = [one for row in listed.values() for one in _life(row)]
    found += _price_changes(listed, since=now - NEWS_FOR)
    recent = [one for one in found if now - NEWS_FOR <= one.at <= now]
    return sorted(recent, key=lambda one: (one.at, one.row.name), reverse=True)[:MOST_NEWS]


def _life(row: CatalogRow) -> Iterator[News]:
    for kind, on, title in (
        ("new", row.came_on, f"New: {row.title}"),
        ("deprecated", row.deprecated_on, f"Deprecated: {row.title}"),
        ("retired", row.shutdown_on, f"Switched off: {row.title}"),
    ):
        if on is not None:
            yield News(_midnight(on), kind, row, title, row.description)


def _price_changes(listed: dict[str, CatalogRow], *, since: datetime) -> Iterator[News]:
    """Yield each price version that has one before it, with every rate that it changed."""
    recent = PriceVersion.objects.filter(effective_from__gte=since).values("model")
    versions = PriceVersion.objects.filter(model__in=recent).order_by("model", "effective_from")
    for before, version in pairwise(versions):
        row = listed.get(version.model)
        if row and before.model == version.model and version.effective_from >= since:
            words = ", ".join(
                price_history.changes(price_book.price_of(version), price_book.price_of(before))
            )
            yield News(version.effective_from, "price", row, f"New price: {row.title}", words)


def _midnight(on: date) -> datetime:
    return datetime.combine(on, time(), UTC)


def _wire(row: CatalogRow) -> dict[str, Any]:
    rates = {name: getattr(row.rates, name) for name in RATE_NAMES}
    dates = ("released_on", "deprecated_on", "shutdown_on")
    return {
        "id": row.name,
        "name": row.title,
        "kind": row.kind,
        "owned_by": row.owned_by,
        "description": row.description,
        "input_modalities": row.input_modalities,
        "output_modalities": row.output_modalities,
        "context_tokens": row.context_tokens,
        "max_output_tokens": row.max_output_tokens,
        "features": row.features,
        "providers": [route.provider for route in row.routes if route.is_on],
        "prices": {name: rate for name, rate in rates.items() if rate is not None},
        "prices_by_tier": _by_tier(row),
        "prices_since": formats.machine_text(row.price_since),
        **{name: on.isoformat() if (on := getattr(row, name)) else None for name in dates},
        "url": settings.SITE_URL + reverse("model_page", args=[row.name]),
    }


def _by_tier(row: CatalogRow) -> list[dict[str, Any]]:
    """Return the rates of service tiers and of longer prompts, as far as they are not the ones without."""
    found: dict[tuple[str, int], dict[str, int]] = {}
    for key, rate in price_history.rates_of(row.price).items():
        if key.service_tier or key.above_input_tokens:
            found.setdefault((key.service_tier, key.above_input_tokens), {})[key.name] = rate
    return [
        {"service_tier": tier or None, "above_input_tokens": above, "prices": prices}
        for (tier, above), prices in found.items()
    ]
