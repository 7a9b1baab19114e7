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

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
WIDTHS = (1280, 390)
HEIGHT = 800
SECONDS = 60
AXE = Path(__file__).resolve().parents[1] / "vendor" / "axe-core-4.14.1" / "axe.min.js"
# Everything of axe-core but advice; `color-contrast` is the one rule that a theme can change.
RUN_AXE = """rules => axe.run(document, {resultTypes: ["violations"], ...(rules ? {runOnly: rules} : {})})
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


class PageBroken(Exception):
    """An address of the URL table answers with an error."""


@dataclass(slots=True)
class Seen:
    """One page as it was loaded: bytes over the wire, milliseconds until its largest part stood, complaints."""

    address: Address
    weight_bytes: int = 0
    lcp_ms: int = 0
    complaints: list[str] = field(default_factory=list)


class Looker:
    """Sessions in one browser: the owner's, a stranger's, and one of each cookie given by name."""

    def __init__(
        self, browser: Browser, site_url: str, email: str, cookies: Mapping[str, str]
    ) -> None:
        self.site_url = site_url
        self._browser = browser
        self._cookies = cookies
        self._stranger = self._session(browser)
        self._owner = self._session(browser)
        self._sign_in(email)

    def who(self, address: Address) -> BrowserContext | None:
        """Return the session that sees a page at this address, None where there is none to see."""
        for session in (self._owner, self._stranger):
            url = self.site_url + address.path
            answer = session.request.get(url, max_redirects=0, fail_on_status_code=False)
            if answer.status == 200:
                is_html = answer.headers.get("content-type", "").startswith("text/html")
                return session if is_html and "<html" in answer.text() else None
            if answer.status not in ELSEWHERE:
                raise PageBroken(f"{address.name} answers {answer.status}")
        return None

    @contextmanager
    def look(
        self, address: Address, *, theme: Theme = "light", width: int = 1280
    ) -> Iterator[tuple[Page, Seen] | None]:
        """Yield the loaded page and what was seen while it came, None where the address is no page."""
        session = self.who(address)
        if session is None:
            yield None
            return
        with self._loaded(session, address, theme=theme, width=width) as found:
            yield found

    @contextmanager
    def look_as(
        self, who: str, address: Address, *, theme: Theme = "light", width: int = 1280
    ) -> Iterator[tuple[Page, Seen]]:
        """Yield a page as `look` does, in a new session of `who`: "owner", "" for a stranger, or a name of a cookie."""
        if who == "owner":
            with self._loaded(self._owner, address, theme=theme, width=width) as found:
                yield found
            return
        session = self._session(self._browser)
        if who:
            name, value = settings.SESSION_COOKIE_NAME, self._cookies[who]
            session.add_cookies([{"name": name, "value": value, "url": self.site_url}])
        try:
            with self._loaded(session, address, theme=theme, width=width) as found:
                yield found
        finally:
            session.close()

    @contextmanager
    def _loaded(
        self, session: BrowserContext, address: Address, *, theme: Theme, width: int
    ) -> Iterator[tuple[Page, Seen]]:
        page = session.new_page()
        seen = Seen(address)
        page.set_viewport_size({"width": width, "height": HEIGHT})
        page.emulate_media(color_scheme=theme)
        page.on("console", lambda said: self._hear(said, seen))
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        finished: list[Request] = []
        page.on("requestfinished", lambda one: finished.append(one))  # it wants a function
        # The cache is switched off with it, so that every page weighs what a first visit does.
        devtools = page.context.new_cdp_session(page)
        devtools.send("Network.enable")
        devtools.send("Network.setCacheDisabled", {"cacheDisabled": True})
        try:
            page.goto(self.site_url + address.path, wait_until="load")
            page.evaluate("document.fonts.ready.then(() => 0)")
            seen.weight_bytes = sum(_bytes(one) for one in finished)
            yield page, seen
        finally:
            page.close()

    def close(self) -> None:
        """End both sessions."""
        self._owner.close()
        self._stranger.close()

    def _session(self, browser: Browser) -> BrowserContext:
        session = browser.new_context(reduced_motion="reduce", bypass_csp=False)
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

    def _hear(self, said: ConsoleMessage, seen: Seen) -> None:
        if said.type == "error":
            seen.complaints.append(said.text)


def lcp_ms(page: Page) -> int:
    """Return when the largest part of the page stood, in milliseconds; waits until the browser has painted."""
    page.wait_for_function("window.exeratiLcp !== undefined")
    return int(page.evaluate("Math.round(window.exeratiLcp)"))


def violations(page: Page, *, rules: Sequence[str] = ()) -> list[str]:
    """Return the serious and critical violations that axe-core finds, one line for each kind with its first place."""
    if not page.evaluate("typeof axe !== 'undefined'"):
        page.evaluate(AXE.read_text())  # not as a <script>, which the policy would stop
    page.evaluate(FINISH_MOTION)
    found: list[dict[str, Any]] = page.evaluate(RUN_AXE, list(rules) or None)
    return [
        f"{one['impact']} {one['id']}, {len(one['nodes'])} times: {one['nodes'][0]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def _bytes(request: Request) -> int:
    sizes = request.sizes()
    return int(sizes["responseBodySize"] + sizes["responseHeadersSize"])
