"""What every page must hold to: accessible in both themes, light, few queries, no breach of the security policy."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from playwright.sync_api import Page

from tests.cast import signed_in
from tests.pages.looking import PageBroken, Seen, lcp_ms, violations
from tests.pages.scenes import Scene
from tests.pages.site import Site
from tests.pages.url_table import Address

MOST_BYTES = 150_000  # over the wire, with everything that a first visit loads
MOST_QUERIES = 30
# The background has arrived, which is what text is compared with.
IS_DARK = """() => matchMedia("(prefers-color-scheme: dark)").matches
    && parseInt(getComputedStyle(document.body).backgroundColor.match(/\\d+/)) < 64
    && parseInt(getComputedStyle(document.body).color.match(/\\d+/)) > 192"""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one page showed; `problems` are the rules that it breaks."""

    path: str
    kilobytes: int
    lcp_ms: int
    queries: int
    problems: tuple[str, ...]


def run(site: Site, addresses: Sequence[Address]) -> Iterator[Finding]:
    """Yield what each page shows; addresses that are no pages are left out."""
    for address in addresses:
        try:
            found = _examine(site, address)
        except PageBroken as broken:
            found = Finding(address.path, 0, 0, 0, (str(broken),))
        if found is not None:
            yield found


def run_scenes(site: Site, scenes: Sequence[Scene]) -> Iterator[Finding]:
    """Yield what each scene shows, as `run` does; its queries are those of its pages, and not counted here."""
    for scene in scenes:
        with site.looker.look_as(scene.who, scene.address) as (page, seen):
            painted = lcp_ms(page)
            weight = seen.weight_bytes
            scene.arrive(page)
            problems = _accessible(page)
        refused = f"status of {scene.status}"
        seen.complaints[:] = [one for one in seen.complaints if refused not in one]
        problems += _broken(seen, 0)
        yield Finding(
            f"{scene.name}: {scene.path}", round(weight / 1_000), painted, 0, tuple(problems)
        )


def _accessible(page: Page) -> list[str]:
    """Return what axe-core finds in the light, and against contrast in the dark."""
    problems = [f"light: {one}" for one in violations(page)]
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(IS_DARK)  # a busy browser takes its time
    return problems + [f"dark: {one}" for one in violations(page, rules=["color-contrast"])]


def _examine(site: Site, address: Address) -> Finding | None:
    with site.looker.look(address) as found:
        if found is None:
            return None
        page, seen = found
        painted = lcp_ms(page)
        problems = _accessible(page)
    with ThreadPoolExecutor(
        1
    ) as thread:  # Playwright's own has an event loop, which Django refuses
        queries = thread.submit(_count_queries, site, address).result()
    problems += _broken(seen, queries)
    return Finding(
        address.path, round(seen.weight_bytes / 1_000), painted, queries, tuple(problems)
    )


def _broken(seen: Seen, queries: int) -> Iterator[str]:
    yield from seen.complaints
    if seen.weight_bytes > MOST_BYTES:
        yield f"weighs {seen.weight_bytes:,} bytes, more than {MOST_BYTES:,}"
    if queries > MOST_QUERIES:
        yield f"runs {queries} queries, more than {MOST_QUERIES}"


def _count_queries(site: Site, address: Address) -> int:
    """Return how many queries the page runs, those of the session and the organization included."""
    try:
        for client in (signed_in(site.samples.owner), Client()):
            with CaptureQueriesContext(connection) as queries:
                answer = client.get(address.path)
            if answer.status_code == 200:
                return len(queries)
        raise AssertionError(f"{address.path} answers nobody")
    finally:
        connections.close_all()
