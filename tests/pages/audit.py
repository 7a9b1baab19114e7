"""
What every page must hold to: accessible in both themes, light, few queries, no broken link, no breach of the policy.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from playwright.sync_api import Page

from tests.cast import signed_in
from tests.pages.links import Links
from tests.pages.looking import (
    ELSEWHERE,
    OWNER,
    STRANGER,
    PageBroken,
    Seen,
    is_page,
    lcp_ms,
    violations,
    wait_for,
)
from tests.pages.scenes import Scene
from tests.pages.site import Site
from tests.pages.url_table import Address

MOST_BYTES = 150_000  # over the wire, with everything that a first visit loads
MOST_QUERIES = 30
MOST_LCP_MS = 1_000
LOOKS = 3  # at a page that stands late: the quickest counts, since a busy machine is no fault of the page
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


@dataclass(frozen=True, slots=True)
class Asked:
    """Who sees the page at an address, and how many queries it runs for them."""

    who: str
    queries: int
    broken_links: tuple[str, ...]


def run(
    site: Site,
    addresses: Sequence[Address],
    *,
    leave_out: Sequence[str] = (),
    most_lcp_ms: int | None = None,
) -> Iterator[Finding]:
    """
    Yield what each page shows; addresses that are no pages are left out.

    `leave_out` are selectors of what axe-core does not look at; `most_lcp_ms` is when the largest part has to stand.
    """
    # Playwright's own thread has an event loop, which Django refuses.
    with ThreadPoolExecutor(1) as thread:
        clients = thread.submit(_clients, site).result()
        links = {who: Links(_status_by(client)) for who, client in clients.items()}
        try:
            for address in addresses:
                try:
                    asked = thread.submit(_ask, clients, address, links).result()
                    found = _examine(site, address, asked, leave_out) if asked else None
                    if asked and found and most_lcp_ms and found.lcp_ms > most_lcp_ms:
                        found = _looked_again(site, asked.who, address, found, most_lcp_ms)
                except PageBroken as broken:
                    found = Finding(address.path, 0, 0, 0, (str(broken),))
                if found is not None:
                    yield found
        finally:
            thread.submit(connections.close_all).result()


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


def _accessible(page: Page, leave_out: Sequence[str] = ()) -> list[str]:
    """Return what axe-core finds in the light, and against contrast in the dark."""
    problems = [f"light: {one}" for one in violations(page, leave_out=leave_out)]
    page.emulate_media(color_scheme="dark")
    wait_for(page, IS_DARK)  # a busy browser takes its time
    dark = violations(page, rules=["color-contrast"], leave_out=leave_out)
    return problems + [f"dark: {one}" for one in dark]


def _examine(site: Site, address: Address, asked: Asked, leave_out: Sequence[str]) -> Finding:
    with site.looker.look_as(asked.who, address) as (page, seen):
        if seen.status != 200 or seen.is_elsewhere:
            raise PageBroken(f"{address.name} answers {seen.status} at {page.url}")
        painted = lcp_ms(page)
        problems = _accessible(page, leave_out)
    problems += _broken(seen, asked.queries)
    problems += asked.broken_links
    weight = round(seen.weight_bytes / 1_000)
    return Finding(address.path, weight, painted, asked.queries, tuple(problems))


def _looked_again(site: Site, who: str, address: Address, found: Finding, most_ms: int) -> Finding:
    """Return what was found of a page that stood late, by the quickest of LOOKS."""
    painted = found.lcp_ms
    for _ in range(LOOKS - 1):
        with site.looker.look_as(who, address) as (page, _seen):
            painted = min(painted, lcp_ms(page))
    late = () if painted <= most_ms else (f"stands after {painted} ms, later than {most_ms}",)
    return replace(found, lcp_ms=painted, problems=(*found.problems, *late))


def _broken(seen: Seen, queries: int) -> Iterator[str]:
    yield from seen.complaints
    if seen.weight_bytes > MOST_BYTES:
        yield f"weighs {seen.weight_bytes:,} bytes, more than {MOST_BYTES:,}"
    if queries > MOST_QUERIES:
        yield f"runs {queries} queries, more than {MOST_QUERIES}"


def _clients(site: Site) -> dict[str, Client]:
    return {OWNER: signed_in(site.samples.owner), STRANGER: Client()}


def _status_by(client: Client) -> Callable[[str], int]:
    return lambda address: client.get(address).status_code


def _ask(
    clients: Mapping[str, Client], address: Address, links: Mapping[str, Links]
) -> Asked | None:
    """Ask within this process, as the owner and then as a stranger; those of session and organization are counted."""
    for who, client in clients.items():
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(address.path)
        count = len(queries)  # now: the next request, such as that of a link, empties the log
        if answer.status_code == 200:
            body = b"" if answer.streaming else answer.content
            is_one = is_page(answer.headers.get("content-type", ""), body)
            if not is_one:
                return None
            broken = tuple(links[who].broken(body.decode(), path=address.path))
            return Asked(who, count, broken)
        if answer.status_code not in ELSEWHERE:
            raise PageBroken(f"{address.name} answers {answer.status_code}")
    return None
