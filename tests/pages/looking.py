"""
Looks at pages with a browser: what they weigh, how soon they show, what the console says, what axe-core finds.

A page is asked for as the owner of the sample organization, and as a stranger where the owner is sent elsewhere
(sign-up, sign-in). What answers with a part of a page or something else than HTML, or to forms alone, is no page.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from django.conf import settings
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

from tests import factories
from tests.pages.url_table import Address
from tests.upstream import wait_until

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
WIDTHS = (1280, 390)
HEIGHT = 800
SECONDS = 60
AXE = Path(__file__).resolve().parents[1] / "vendor" / "axe-core-4.14.1" / "axe.min.js"
# Everything of axe-core but advice; `color-contrast` is the one rule that a theme can change.
RUN_AXE = """({rules, exclude}) => axe.run({include: [document], exclude},
        {resultTypes: ["violations"], ...(rules ? {runOnly: rules} : {})})
    .then(found => found.violations.map(({id, impact, nodes}) =>
        ({id, impact, nodes: nodes.map(node => `${node.target.join(" ")}: ${node.failureSummary}`)})))"""
WATCH = """new PerformanceObserver(list => {
    for (const entry of list.getEntries()) window.exeratiLcp = entry.startTime;
}).observe({type: "largest-contentful-paint", buffered: true});
document.addEventListener("securitypolicyviolation", event =>
    console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI}`));"""
# A change of theme starts transitions once the browser has looked at the styles again: those are ended, too.
FINISH_MOTION = """async () => {
    for (let frame = 0; frame < 2; frame++) {
        await new Promise(requestAnimationFrame);
        document.getAnimations().forEach(one => { try { one.finish() } catch {} });
    }
}"""


ELSEWHERE = (301, 302, 405)  # leads to another page, or takes forms alone
OWNER, STRANGER = "owner", ""
NOWHERE = Address("", "")


class PageBroken(Exception):
    """An address of the URL table answers with an error."""


@dataclass(slots=True)
class Seen:
    """One page as it was loaded: its status, whether it was led elsewhere, bytes over the wire, complaints."""

    address: Address
    status: int = 0
    is_elsewhere: bool = False
    weight_bytes: int = 0
    complaints: list[str] = field(default_factory=list)


class Tab:
    """
    A page of one session, for address after address: each new page would cost the browser a window and a process.
    """

    def __init__(self, session: BrowserContext) -> None:
        self.page = session.new_page()
        self._seen = Seen(NOWHERE)
        self._finished: list[Request] = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self._seen.complaints.append(str(error)))
        self.page.on("requestfinished", lambda one: self._finished.append(one))  # wants a function
        # The cache is switched off with it, so that every page weighs what a first visit does.
        devtools = session.new_cdp_session(self.page)
        devtools.send("Network.enable")
        devtools.send("Network.setCacheDisabled", {"cacheDisabled": True})

    @contextmanager
    def loaded(
        self, url: str, address: Address, *, theme: Theme, width: int
    ) -> Iterator[tuple[Page, Seen]]:
        """Yield the page once it stands; afterwards nothing of it goes on, nor is heard."""
        self._seen, self._finished = Seen(address), []
        self.page.set_viewport_size({"width": width, "height": HEIGHT})
        self.page.emulate_media(color_scheme=theme)
        try:
            answer = self.page.goto(url, wait_until="load")
            self._seen.status = answer.status if answer else 0
            self._seen.is_elsewhere = self.page.url.partition("#")[0] != url
            self.page.evaluate("document.fonts.ready.then(() => 0)")
            self._seen.weight_bytes = sum(_bytes(one) for one in self._finished)
            yield self.page, self._seen
        finally:
            self._seen, self._finished = Seen(NOWHERE), []
            self.page.goto("about:blank")

    def _hear(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self._seen.complaints.append(said.text)


class Looker:
    """Sessions in one browser: the owner's, a stranger's, and one of each cookie given by name."""

    def __init__(
        self, browser: Browser, site_url: str, email: str, cookies: Mapping[str, str]
    ) -> None:
        self.site_url = site_url
        self._browser = browser
        self._cookies = cookies
        self._stranger = self._session()
        self._owner = self._session()
        self._sign_in(email)
        self._tabs = {OWNER: Tab(self._owner), STRANGER: Tab(self._stranger)}
        self._seen_by: dict[str, str | None] = {}

    def who(self, address: Address) -> str | None:
        """Return who sees a page at this address, OWNER or STRANGER, None where there is none to see."""
        if address.path not in self._seen_by:
            self._seen_by[address.path] = self._ask(address)
        return self._seen_by[address.path]

    def _ask(self, address: Address) -> str | None:
        for who, session in ((OWNER, self._owner), (STRANGER, self._stranger)):
            url = self.site_url + address.path
            answer = session.request.get(url, max_redirects=0, fail_on_status_code=False)
            if answer.status == 200:
                kind = answer.headers.get("content-type", "")
                return who if is_page(kind, answer.body()) else None
            if answer.status not in ELSEWHERE:
                raise PageBroken(f"{address.name} answers {answer.status}")
        return None

    @contextmanager
    def look(
        self, address: Address, *, theme: Theme = "light", width: int = 1280
    ) -> Iterator[tuple[Page, Seen] | None]:
        """Yield the loaded page and what was seen while it came, None where the address is no page."""
        who = self.who(address)
        if who is None:
            yield None
            return
        with self.look_as(who, address, theme=theme, width=width) as found:
            yield found

    @contextmanager
    def look_as(
        self, who: str, address: Address, *, theme: Theme = "light", width: int = 1280
    ) -> Iterator[tuple[Page, Seen]]:
        """Yield a page as `look` does, seen by OWNER, by STRANGER, or in a new session by the name of a cookie."""
        url = self.site_url + address.path
        if who in self._tabs:
            with self._tabs[who].loaded(url, address, theme=theme, width=width) as found:
                yield found
            if who == STRANGER:
                self._stranger.clear_cookies()  # who began to sign in or up would be led on from there
            return
        session = self._session()
        name, value = settings.SESSION_COOKIE_NAME, self._cookies[who]
        session.add_cookies([{"name": name, "value": value, "url": self.site_url}])
        try:
            with Tab(session).loaded(url, address, theme=theme, width=width) as found:
                yield found
        finally:
            session.close()

    def close(self) -> None:
        """End both sessions."""
        self._owner.close()
        self._stranger.close()

    def _session(self) -> BrowserContext:
        session = self._browser.new_context(reduced_motion="reduce", bypass_csp=False)
        session.set_default_timeout(SECONDS * 1000)
        session.add_init_script(WATCH)
        return session

    def _sign_in(self, email: str) -> None:
        page = self._owner.new_page()
        page.goto(f"{self.site_url}/login")
        page.get_by_label("Email").fill(email)
        page.get_by_label("Password").fill(factories.PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url("**/dashboard/**")
        page.close()


def is_page(content_type: str, body: bytes) -> bool:
    """Say whether an answer is a whole page: a part of one, or something else than HTML, is not."""
    return content_type.startswith("text/html") and b"<html" in body


def lcp_ms(page: Page) -> int:
    """Return when the largest part of the page stood, in milliseconds; waits until the browser has painted."""
    wait_for(page, "window.exeratiLcp !== undefined")
    return int(page.evaluate("Math.round(window.exeratiLcp)"))


def wait_for(page: Page, condition: str) -> None:
    """
    Return once an expression or a function holds in the page; raises TimeoutError.

    Playwright's own waiting evaluates texts inside the page from its second look on, which the policy forbids.
    """
    wait_until(lambda: page.evaluate(condition), seconds=SECONDS)


def violations(
    page: Page, *, rules: Sequence[str] = (), leave_out: Sequence[str] = ()
) -> list[str]:
    """
    Return the serious and critical violations that axe-core finds, one line for each kind with its first place.

    `leave_out` are selectors of what is not looked at.
    """
    if not page.evaluate("typeof axe !== 'undefined'"):
        page.evaluate(AXE.read_text())  # not as a <script>, which the policy would stop
    page.evaluate(FINISH_MOTION)
    asked = {"rules": list(rules) or None, "exclude": [[one] for one in leave_out]}
    found: list[dict[str, Any]] = page.evaluate(RUN_AXE, asked)
    return [
        f"{one['impact']} {one['id']}, {len(one['nodes'])} times: {one['nodes'][0]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def _bytes(request: Request) -> int:
    sizes = request.sizes()
    return int(sizes["responseBodySize"] + sizes["responseHeadersSize"])
