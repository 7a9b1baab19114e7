"""A visitor with Debian's chromium, who notices everything the browser complains about."""

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Browser, ConsoleMessage, Page, Response, sync_playwright

# The shell is the same browser without a window of its own: a new page costs it a third of the processor time.
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "chromium-browser"))),
    None,
)
# What a machine without a screen, a sound card and a way out wants.
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SECONDS = 60
CODE = re.compile(r"^(\d{6})$", re.MULTILINE)
FOCUSED = """() => {
    const one = document.activeElement;
    const label = one.labels?.length ? one.labels[0].textContent : "";
    return (one.getAttribute("aria-label") || label || one.textContent).trim();
}"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield a browser; skips the test where there is none."""
    if CHROMIUM is None:
        pytest.skip("There is no chromium: `apt-get install chromium-headless-shell` brings it.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def member(browser: Browser, *, site_url: str, session: str, javascript: bool = True) -> "Visitor":
    """Return a visitor who is signed in already, by the value of a session's cookie."""
    found = Visitor(browser, site_url=site_url, mail_folder=Path(), javascript=javascript)
    found.page.context.add_cookies(
        [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": site_url}]
    )
    return found


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the control of a name has the focus, visibly."""
    for _ in range(80):
        if page.evaluate(FOCUSED).startswith(name):
            assert page.evaluate("document.activeElement.matches(':focus-visible')")
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the keyboard does not reach {name}")


class Visitor:
    """One person's browser session on a site, and the mail that the site sends them."""

    def __init__(
        self, browser: Browser, *, site_url: str, mail_folder: Path, javascript: bool = True
    ) -> None:
        self.site_url = site_url
        self.complaints: list[str] = []
        self._mail_folder = mail_folder
        self._context = browser.new_context(java_script_enabled=javascript)
        self._context.set_default_timeout(SECONDS * 1000)
        self._context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.page: Page = self._context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self._complain(str(error)))
        self.page.on("response", self._see)

    def close(self) -> None:
        """End the session."""
        self._context.close()

    def go(self, path: str) -> None:
        """Open a page of the site."""
        self.page.goto(self.site_url + path)

    def read_code(self, email: str) -> str:
        """Return the code in the newest mail to an address, waiting for it to arrive."""
        deadline = time.monotonic() + SECONDS
        while not (codes := CODE.findall(self._mail_to(email))):
            assert time.monotonic() < deadline, f"no mail to {email}"
            time.sleep(0.05)
        return str(codes[-1])

    def _mail_to(self, email: str) -> str:
        texts = (path.read_text() for path in sorted(self._mail_folder.glob("*.log")))
        return "".join(text for text in texts if f"To: {email}" in text)

    def _hear(self, said: ConsoleMessage) -> None:
        # Chromium reports a breach of the content security policy as an error in the console.
        if said.type == "error":
            self._complain(said.text)

    def _see(self, answer: Response) -> None:
        if answer.status >= 400:
            self._complain(f"{answer.status} {answer.url}")

    def _complain(self, text: str) -> None:
        self.complaints.append(f"{self.page.url}: {text}")
