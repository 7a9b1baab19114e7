"""The console walked by its keys, in a real browser: hotkeys, palette, charts by arrow keys, copying."""

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import expect

from tests import factories
from tests.journeys import browser

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def secret(transactional_db):
    """The secret of one of acme's two keys."""
    acme = factories.make_organization("Acme", owner=factories.make_user("alice@acme.example"))
    factories.make_credit(acme, usd="10")
    factories.make_model()
    factories.make_api_key(acme, name="nightly")
    return factories.make_api_key(acme, name="prod-api").secret


@pytest.fixture
def alice(secret, start_servers):
    """Alice's browser after a call of her key; it must not have met an error at the end."""
    client = Client()
    assert client.login(email="alice@acme.example", password=factories.PASSWORD)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    [site] = start_servers(1)
    assert site.chat(secret, model="sandbox/echo", text="Hello").status == 200
    with browser.chromium() as chromium:
        visitor = browser.member(
            chromium, site_url=f"http://127.0.0.1:{site.port}", session=session
        )
        yield visitor
        visitor.close()
    assert visitor.complaints == []


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def test_console_is_walked_by_its_keys(alice):
    page = alice.page
    alice.go("/dashboard/acme/")
    pages_are_reached(page)
    rows_are_walked_and_copied(page)
    palette_finds(page)
    chart_is_read(page)
    keys_are_listed_and_switched_off(page)
    copying_is_told(page)


def pages_are_reached(page):
    for letter, address in (("u", "usage"), ("l", "requests"), ("b", "billing"), ("k", "keys")):
        press(page, "g", letter)
        page.wait_for_url(f"**/dashboard/acme/{address}/")
    press(page, "/")
    expect(page.locator("#main input[type=search]")).to_be_focused()
    page.keyboard.type("nightly gk")  # letters that are typed are no keys
    assert page.url.endswith("/keys/")
    page.keyboard.press("Escape")


def rows_are_walked_and_copied(page):
    page.goto(page.url)
    names = page.locator("#main .table tbody th a")
    press(page, "j")
    expect(names.nth(0)).to_be_focused()
    press(page, "j")
    expect(names.nth(1)).to_be_focused()
    press(page, "j", "k")
    expect(names.nth(0)).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/keys/key_*/")
    press(page, "c")
    expect(page.locator("#live")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()").startswith(("key_", "sk-exr-"))


def palette_finds(page):
    page.keyboard.press("Control+k")
    field = page.locator("#palette-search")
    expect(field).to_be_focused()
    page.keyboard.type("nightly")
    expect(page.locator("#palette-list [aria-selected=true]")).to_contain_text("nightly")
    page.keyboard.press("Control+a")
    page.keyboard.type("usage")
    expect(page.locator("#palette-list [aria-selected=true]")).to_contain_text("Usage")
    page.keyboard.press("Enter")
    page.wait_for_url("**/dashboard/acme/usage/")


def chart_is_read(page):
    frame = page.locator(".chart-focus").first
    frame.focus()
    press(page, "End")
    tip = frame.get_by_role("status")
    expect(tip).to_be_visible()
    last = page.locator(".chart-data table tbody tr").last
    first_cell = last.locator("th, td").first.text_content()
    expect(tip.locator("strong")).to_have_text(first_cell)
    press(page, "ArrowLeft")
    expect(tip.locator("strong")).not_to_have_text(first_cell)
    press(page, "ArrowRight", "Enter")
    page.wait_for_url("**/dashboard/acme/requests/?*")
    page.go_back()
    page.locator(".chart-focus").first.focus()
    press(page, "End", "Escape")
    expect(page.locator(".chart-tip").first).to_be_hidden()


def keys_are_listed_and_switched_off(page):
    press(page, "?")
    listed = page.locator("#hotkeys")
    expect(listed).to_be_visible()
    listed.get_by_label("Single keys are on").uncheck()
    page.keyboard.press("Escape")
    expect(listed).to_be_hidden()
    press(page, "?", "g", "k")
    expect(listed).to_be_hidden()
    assert page.url.endswith("/usage/")


def copying_is_told(page):
    page.goto(page.url.replace("/usage/", "/requests/"))
    page.locator("#main .table tbody a").first.click()
    button = page.get_by_role("button", name="Copy as curl")
    button.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    expect(button).to_be_visible()  # by its own name again
    assert page.evaluate("navigator.clipboard.readText()").startswith("curl ")
