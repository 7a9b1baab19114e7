"""
Where the links of a page lead: to an address of the URL table, a file of ours, or a place of the page itself.

What only the right arguments tell apart (a model, a request) is asked for: one address of each kind and page is enough,
since it is the template that makes a link wrong. Other sites are not asked.
"""

import re
from collections.abc import Callable, Iterator
from html import unescape
from urllib.parse import urljoin, urlsplit

from django.conf import settings
from django.contrib.staticfiles import finders
from django.urls import Resolver404, resolve

LINK = re.compile(r'\s(href|src|action|hx-get|hx-post|data-url)="([^"]*)"')
PLACE = re.compile(r'\sid="([^"]+)"')
LEADS_SOMEWHERE = range(200, 400)
FORMS_ALONE = 405
Ask = Callable[[str], int]


class Links:
    """Checks the links of page after page; `ask` returns the status of an address, and no path is asked for twice."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._asked: dict[str, int] = {}
        self._kinds: set[tuple[str, str]] = set()

    def broken(self, markup: str, *, path: str) -> Iterator[str]:
        """Yield what is wrong with the links of a page at a path."""
        places = {unescape(place) for place in PLACE.findall(markup)}
        for kind, written in sorted(set(LINK.findall(markup))):
            target = _on_this_site(urljoin(path, unescape(written)))
            if target is None:
                continue
            address, _, place = target.partition("#")
            if written.startswith("#") or (place and address == path):
                if place and place not in places:
                    yield f"has no place {place!r}, to which it links"
            elif not self._leads(address, is_form=kind in ("action", "hx-post"), page=path):
                yield f"links to {address}, which is not there"

    def _leads(self, address: str, *, is_form: bool, page: str) -> bool:
        at = urlsplit(address).path
        if at.startswith(settings.STATIC_URL):
            return finders.find(at.removeprefix(settings.STATIC_URL)) is not None
        if at.startswith("/v1/"):
            return (
                True  # the gateway's own handler, whose addresses tests/gateway/test_urls.py asks
            )
        try:
            view = resolve(at).view_name
        except Resolver404:
            return False
        if at not in self._asked:
            if (view, page) in self._kinds:
                return True
            self._kinds.add((view, page))
            self._asked[at] = self._ask(address)
        status = self._asked[at]
        return status in LEADS_SOMEWHERE or (is_form and status == FORMS_ALONE)


def _on_this_site(url: str) -> str | None:
    """Return the path of an address of ours, None for another site's, a mail's and the like."""
    for ours in (settings.SITE_URL, settings.API_BASE_URL.removesuffix("/v1")):
        if url == ours or url.startswith(f"{ours}/"):
            url = url.removeprefix(ours) or "/"
    return url if url.startswith("/") and not url.startswith("//") else None
