"""What search engines are told: the map of the public pages, and which pages are nobody else's business."""

from collections.abc import Iterator
from typing import Final

from django.conf import settings
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape
from django.views.decorators.http import require_safe

from gateway.catalog import catalog_pages
from gateway.catalog.views import PAGE_ROWS
from gateway.documentation.docs_pages import HOME, SLUGS

PAGES: Final = ("landing", "catalog", "pricing", "status", "docs")
CLOSED: Final = ("/dashboard/", "/account/", "/admin/", "/invitations/", "/v1/", "/api/")
NAMESPACE: Final = "http://www.sitemaps.org/schemas/sitemap/0.9"


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    """Lead robots to the map, and keep them out of what needs a session or a key."""
    lines = ["User-agent: *", *(f"Disallow: {path}" for path in CLOSED)]
    lines += ["", f"Sitemap: {settings.SITE_URL}{reverse('site_map')}", ""]
    return HttpResponse("\n".join(lines), content_type="text/plain; charset=utf-8")


@require_safe
def site_map(request: HttpRequest) -> HttpResponse:
    """List every public page; runs three queries, for the models that are shown."""
    urls = "".join(f"<url><loc>{escape(settings.SITE_URL + path)}</loc></url>" for path in _paths())
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="{NAMESPACE}">{urls}</urlset>\n'
    return HttpResponse(text, content_type="application/xml")


def _paths() -> Iterator[str]:
    yield from (reverse(name) for name in PAGES)
    yield from (reverse("docs_page", args=[slug]) for slug in SLUGS if slug != HOME)
    listed = catalog_pages.for_sale(now=timezone.now())
    for number in range(2, Paginator(listed, PAGE_ROWS).num_pages + 1):
        yield f"{reverse('catalog')}?page={number}"
    for row in listed:
        yield reverse("model_page", args=[row.name])
