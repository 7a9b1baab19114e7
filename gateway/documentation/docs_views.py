"""HTML pages of the documentation, their Markdown twins and `llms.txt`."""

from dataclasses import dataclass

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.feedgenerator import Rss201rev2Feed
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_cookie

from apikeys.own_key import NOBODYS, VARIABLE, OwnKey, set_line
from gateway.documentation import docs_changelog, docs_pages, docs_search, docs_values
from gateway.documentation.docs_pages import HOME, SECTIONS, Page, PageMissing

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
@vary_on_cookie
def search(request: HttpRequest) -> HttpResponse:
    """Show the sections that hold the words of the query."""
    query = request.GET.get("q", "").strip()[:200]
    context = {
        "query": query,
        "hits": docs_search.search(query, values=docs_values.values()),
        "page": None,
        **_navigation(""),
    }
    return render(request, "gateway/docs_search.html", context)


@require_safe
def llms_full(request: HttpRequest) -> HttpResponse:
    """Return the whole documentation as one Markdown file."""
    pages = (_page(slug).markdown.strip() for slug in docs_pages.SLUGS)
    return HttpResponse("\n\n---\n\n".join(pages) + "\n", content_type=PLAIN)


@require_safe
def changelog_feed(request: HttpRequest) -> HttpResponse:
    """Return what changed as RSS."""
    link = settings.SITE_URL + reverse("docs_page", args=["changelog"])
    feed = Rss201rev2Feed(
        title="Exerati changelog",
        link=link,
        description="What a user of Exerati notices.",
        feed_url=settings.SITE_URL + reverse("docs_changelog_feed"),
    )
    for entry in docs_changelog.entries():
        feed.add_item(
            title=entry.title,
            link=link,
            description=entry.words,
            unique_id=entry.ident,
            unique_id_is_permalink=False,
        )
    return HttpResponse(
        feed.writeString("utf-8"), content_type="application/rss+xml; charset=utf-8"
    )


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
        f"Samples read the API key from the environment: {set_line()}",
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
    own = OwnKey(request)
    before, after = docs_pages.neighbours(shown.slug)
    context = {
        "page": shown,
        "html": mark_safe(shown.html.replace(NOBODYS, own.prefix or NOBODYS)),  # noqa: S308  ours
        "has_samples": VARIABLE in shown.markdown,
        "sets_key": set_line() in shown.markdown,
        **_navigation(shown.slug),
        "before": (titles[before], _url(before)) if before else None,
        "after": (titles[after], _url(after)) if after else None,
        "markdown_url": reverse("docs_markdown", args=[shown.slug]),
    }
    return render(request, "gateway/docs.html", context)


def _navigation(present: str) -> dict[str, object]:
    """Return the side navigation, with the present page marked."""
    titles = docs_pages.titles()
    sections = [
        (section, [NavItem(titles[slug], _url(slug), slug == present) for slug in slugs])
        for section, slugs in SECTIONS.items()
    ]
    return {"sections": sections, "nav_active": "docs"}


def _url(slug: str) -> str:
    return reverse("docs") if slug == HOME else reverse("docs_page", args=[slug])


def _markdown_url(slug: str) -> str:
    return settings.SITE_URL + reverse("docs_markdown", args=[slug])
