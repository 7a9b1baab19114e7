"""
What no address alone shows: pages as others see them, after a step, with something open, and where nothing is yet.

Each scene is looked at like a page: in pictures, and by `--audit` in the same ways. `arrive` does the step, in the
browser, as a person would.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from django.test import Client, override_settings
from playwright.sync_api import Page, expect

from tests import factories
from tests.pages import people
from tests.pages.looking import OWNER, STRANGER
from tests.pages.url_table import Address

expect.set_options(timeout=60_000)
HOME = "/dashboard/northwind/"
EMPTY = f"/dashboard/{people.NEW_SLUG}/"
STYLE_GUIDE = "/styleguide/"


def stay(page: Page) -> None:
    """Do nothing more: the address is the scene."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Somebody at an address, and the step that leads to what is looked at; `status` is the worst answer on the way."""

    name: str
    who: str
    path: str
    arrive: Callable[[Page], None] = stay
    status: int = 200

    @property
    def address(self) -> Address:
        """Return the address, named as the scene."""
        return Address(f"scene-{self.name}", self.path)


def all_scenes() -> Sequence[Scene]:
    """Return every scene."""
    return tuple(_scenes())


def _scenes() -> Iterator[Scene]:
    factor = "/account/2fa/"
    yield Scene("factors", people.SECURED, factor)
    yield Scene("passkeys", people.SECURED, f"{factor}webauthn/")
    yield Scene("passkey-remove", people.SECURED, f"{factor}webauthn/", _follow("Remove…"))
    yield Scene("passkey-rename", people.SECURED, f"{factor}webauthn/", _follow("Rename"))
    yield Scene("recovery-codes", people.SECURED, f"{factor}recovery-codes/")
    yield Scene("recovery-codes-new", people.SECURED, f"{factor}recovery-codes/generate/")
    yield Scene("app-off", people.SECURED, f"{factor}totp/deactivate/")
    yield Scene("is-it-you", people.SECURED, f"{factor}reauthenticate/")
    other = "/account/connections/"
    yield Scene("landing-stranger", STRANGER, "/")
    yield Scene("other-accounts", people.SECURED, other)
    yield Scene("other-accounts-last", people.PASSWORDLESS, other, _disconnect)
    yield Scene("other-accounts-protection", people.PASSWORDLESS, "/account/profile/")
    yield Scene("password-first", people.PASSWORDLESS, "/account/password/set/")
    asked = people.LONG_SIGNED_IN
    yield Scene("is-it-you-elsewhere", asked, "/account/password/set/", status=403)
    yield Scene("other-accounts-signup", people.UNADDRESSED, f"{other}signup/")
    yield Scene("other-accounts-refused", STRANGER, f"{other}login/error/", status=401)
    yield Scene("factors-none", people.NEW, factor)
    yield Scene("passkey-add", people.NEW, f"{factor}webauthn/add/")
    yield Scene("app-set-up", people.NEW, f"{factor}totp/activate/")
    yield Scene("account-delete", people.NEW, "/account/delete/")
    reset = "/account/password/reset/key/"
    yield Scene("new-password", people.FORGETFUL, f"{reset}1000-set-password/")
    yield Scene("new-password-link-old", STRANGER, f"{reset}1000-used/")
    yield Scene("second-step", STRANGER, "/login", _sign_in_secured)
    yield Scene("sign-up-wrong", STRANGER, "/register", _sign_up_wrong)
    yield Scene("admin-second-factor", people.STAFF, "/admin/", status=403)
    yield Scene("price-history", STRANGER, "/models/gpt-5.6-terra/", _open_history)
    yield Scene("missing", OWNER, "/nothing-here/", status=404)
    yield Scene("style-guide", STRANGER, STYLE_GUIDE, _switch_debug_on, status=404)
    yield Scene("form-address", OWNER, f"{HOME}team/invite/", status=405)
    yield Scene("viewer-forbidden", people.VIEWER, f"{HOME}settings/", status=403)
    yield Scene("viewer-playground", people.VIEWER, f"{HOME}playground/")
    for page in ("", "keys/", "projects/", "usage/", "requests/", "billing/", "limits/"):
        yield Scene(f"empty-{page.strip('/') or 'overview'}", people.NEW, EMPTY + page)
    for page in ("notifications/", "team/", "invoices/", "billing/ledger/"):
        yield Scene(f"empty-{page.strip('/').replace('/', '-')}", people.NEW, EMPTY + page)
    yield Scene("sample-data", people.NEW, f"{EMPTY}?sample=1")
    yield Scene("key-made", OWNER, f"{HOME}keys/new/", _make_key)
    yield Scene("key-wrong", OWNER, f"{HOME}keys/new/", _make_wrong_key, status=422)
    yield Scene("key-test", OWNER, f"{HOME}keys/", _test_key)
    yield Scene("limits-refused", OWNER, f"{HOME}limits/", _try_limits("2000000"))
    yield Scene("limits-passed", OWNER, f"{HOME}limits/", _try_limits("1000"))
    yield Scene("playground-answer", OWNER, f"{HOME}playground/?model=sandbox/echo", _ask)
    yield Scene("playground-code", OWNER, f"{HOME}playground/?model=sandbox/echo", _view_code)
    yield Scene("request-panel", OWNER, f"{HOME}requests/", _open_request)
    yield Scene("palette", OWNER, HOME, _open_palette)
    yield Scene("hotkeys", OWNER, HOME, _open_hotkeys)
    yield Scene("account-menu", OWNER, HOME, _open_account_menu)


def _follow(label: str) -> Callable[[Page], None]:
    def follow(page: Page) -> None:
        page.get_by_role("link", name=label).first.click()
        page.wait_for_load_state("load")

    return follow


def _disconnect(page: Page) -> None:
    page.get_by_role("button", name="Disconnect").click()
    expect(page.get_by_role("alert")).to_be_visible()


def _sign_in_secured(page: Page) -> None:
    page.get_by_label("Email").fill(people.APP_EMAIL)
    page.get_by_label("Password").fill(factories.PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/2fa/authenticate/")


def _sign_up_wrong(page: Page) -> None:
    page.get_by_label("Organization").fill("Contoso")
    page.get_by_label("Email").fill("nora@contoso.example")
    page.get_by_label("Password").fill("12345")
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("alert").first).to_be_visible()


def _switch_debug_on(page: Page) -> None:
    """Show the style guide as a server with DEBUG does: made in this process, with files of the one that runs."""
    client = Client()
    client.handler.load_middleware()  # that for static files warns where it is made with DEBUG
    with override_settings(DEBUG=True), ThreadPoolExecutor(1) as thread:
        answer = thread.submit(client.get, STYLE_GUIDE).result()
    page.route(
        f"**{STYLE_GUIDE}",
        lambda route: route.fulfill(
            status=answer.status_code, headers=dict(answer.headers), body=answer.content.decode()
        ),
    )
    page.reload()
    page.unroute(f"**{STYLE_GUIDE}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Style guide")


def _make_key(page: Page) -> None:
    page.get_by_label("Mode", exact=True).select_option("test")
    page.get_by_role("button", name="Make key").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Save your key")


def _make_wrong_key(page: Page) -> None:
    page.evaluate("document.querySelector('#main form[method=post]').noValidate = true")
    page.get_by_label("Budget a month, USD").fill("-5")
    page.get_by_role("button", name="Make key").click()
    expect(page.get_by_role("alert").first).to_be_visible()


def _test_key(page: Page) -> None:
    page.get_by_role("link", name="ci", exact=True).click()
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Test of this key")


def _try_limits(tokens: str) -> Callable[[Page], None]:
    def attempt(page: Page) -> None:
        page.get_by_label("Key", exact=True).select_option(label="support-agent")
        page.get_by_label("Model", exact=True).fill("sandbox/echo")
        page.get_by_label("Prompt tokens").fill(tokens)
        page.get_by_role("button", name="Try it").click()
        expect(page.locator("#verdict")).to_be_visible()

    return attempt


def _ask(page: Page) -> None:
    page.get_by_label("Mode", exact=True).select_option("test")
    page.get_by_label("Message", exact=True).fill("Is a **budget** a hard cap?")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".pg-turn[data-role=assistant] .pg-foot a").first).to_be_visible()


def _view_code(page: Page) -> None:
    page.get_by_label("Message", exact=True).fill("Is a budget a hard cap?")
    page.get_by_role("button", name="View code").click()
    expect(page.locator("#pg-code")).to_be_visible()


def _open_history(page: Page) -> None:
    page.locator(".history summary").click()
    expect(page.get_by_role("region", name="Price history")).to_be_visible()


def _open_request(page: Page) -> None:
    page.locator("a[data-panel]").first.click()
    expect(page.locator("#request-panel-body")).to_contain_text("Copy as curl")


def _open_palette(page: Page) -> None:
    page.keyboard.press("Control+k")
    page.keyboard.type("sonnet")
    expect(page.locator("#palette-list")).to_contain_text(re.compile("claude-sonnet"))


def _open_hotkeys(page: Page) -> None:
    page.keyboard.press("?")
    expect(page.locator("#hotkeys")).to_be_visible()


def _open_account_menu(page: Page) -> None:
    if page.get_by_role("button", name="Open menu").is_visible():
        page.get_by_role("button", name="Open menu").click()
    page.locator(".rail-end summary").click()
    expect(page.get_by_text("Sign out")).to_be_visible()
