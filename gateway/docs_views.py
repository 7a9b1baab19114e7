"""HTML pages of the documentation, their Markdown twins and `llms.txt`."""

from dataclasses import dataclass

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_cookie

from gateway import docs_pages, docs_values
from gateway.docs_pages import HOME, SECTIONS, Page, PageMissing

MARKDOWN = "text/markdown; charset=utf-8"
PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class NavItem:
    """One page in the side navigation."""

    title: str
    href: str
    is_present: bool


@require_safe
@vary_on_cookie
def home(request: HttpRequest) -> HttpResponse:
    """Show the first page of the documentation."""
    return _show(request, _page(HOME))


@require_safe
@vary_on_cookie
def page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show one page; the first one lives at /docs/ alone."""
    if slug == HOME:
        return redirect("docs", permanent=True)
    return _show(request, _page(slug))


@require_safe
def page_markdown(request: HttpRequest, slug: str) -> HttpResponse:
    """Return a page as Markdown, for people and programs that copy it."""
    return HttpResponse(_page(slug).markdown, content_type=MARKDOWN)


@require_safe
def llms(request: HttpRequest) -> HttpResponse:
    """Return the index of the documentation for language models (https://llmstxt.org, read 2026-10)."""
    titles, leads = docs_pages.titles(), docs_pages.leads()
    lines = [
        "# Exerati",
        "",
        f"> {leads[HOME]}",
        "",
        f"Base URL of the API: {settings.API_BASE_URL}",
    ]
    for section, slugs in SECTIONS.items():
        lines += ["", f"## {section}", ""]
        lines += [f"- [{titles[slug]}]({_markdown_url(slug)}): {leads[slug]}" for slug in slugs]
    return HttpResponse("\n".join([*lines, ""]), content_type=PLAIN)


def _page(slug: str) -> Page:
    """Return a rendered page; raises Http404."""
    try:
        return docs_pages.page(slug, values=docs_values.values())
    except PageMissing:
        raise Http404 from None


def _show(request: HttpRequest, shown: Page) -> HttpResponse:
    titles = docs_pages.titles()
    before, after = docs_pages.neighbours(shown.slug)
    context = {
        "page": shown,
        "sections": [
            (section, [NavItem(titles[slug], _url(slug), slug == shown.slug) for slug in slugs])
            for section, slugs in SECTIONS.items()
        ],
        "before": (titles[before], _url(before)) if before else None,
        "after": (titles[after], _url(after)) if after else None,
        "markdown_url": reverse("docs_markdown", args=[shown.slug]),
        "nav_active": "docs",
    }
    return render(request, "gateway/docs.html", context)


def _url(slug: str) -> str:
    return reverse("docs") if slug == HOME else reverse("docs_page", args=[slug])


def _markdown_url(slug: str) -> str:
    return settings.SITE_URL + reverse("docs_markdown", args=[slug])
