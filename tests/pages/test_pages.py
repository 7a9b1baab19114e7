"""Every kind of page of the site, in a real browser: accessible, light, frugal, within the security policy."""

import os
import re

import pytest
from django.urls import get_resolver
from playwright.sync_api import expect

from tests.pages import audit, scenes, site, url_table
from tests.pages.looking import STRANGER, violations
from tests.pages.url_table import NOT_PAGES, SampleMissing
from tests.pages.world import Samples
from tests.upstream import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

# Pages of one layout differ in words alone; `python -m tests.screenshots --audit` looks at each.
SAME_LAYOUT = {"docs_page": ("errors", "chat-completions"), "legal": ("terms",)}
# Neither are the later rows of long tables others than the first thirty.
ROWS_ALIKE = ("tbody > tr:nth-child(n+31)",)
LIBRARY = re.compile(r"^(account|mfa|socialaccount|usersessions)_")
OF_LIBRARIES = ("account_login", "account_signup", "account_email", "mfa_index")

# Of what only steps lead to, the layouts that no address has.
SCENES = ("factors", "app-set-up", "key-wrong", "style-guide")

IN_PRINT = """() => {
    const style = selector => getComputedStyle(document.querySelector(selector));
    return [style("html").colorScheme, style("tfoot").display, style("tbody tr").display];
}"""
DARK_INK = "rgb(23, 25, 28)"
MEDIA_BOX = re.compile(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]")


def sampled(addresses):
    """Return what the suite looks at: one page of each layout; everything with EXERATI_PAGES=all."""
    if os.environ.get("EXERATI_PAGES") == "all":
        return list(addresses)
    first = {address.name: address for address in reversed(addresses)}
    ours = [address for name, address in first.items() if name not in SAME_LAYOUT]
    many = [one for one in addresses if one.path.strip("/").endswith(SAME_LAYOUT.get(one.name, ()))]
    return [one for one in ours if not LIBRARY.match(one.name) or one.name in OF_LIBRARIES] + many


def test_every_page_is_accessible_light_frugal_and_obeys_the_policy(database_url, redis_url):
    with site.opened(database_url, redis_url) as opened:
        rows = () if os.environ.get("EXERATI_PAGES") == "all" else ROWS_ALIKE
        findings = list(audit.run(opened, sampled(opened.addresses), leave_out=rows))
        findings += audit.run_scenes(
            opened, [one for one in scenes.all_scenes() if one.name in SCENES]
        )

        problems = [f"{one.path}: {problem}" for one in findings for problem in one.problems]
        assert problems == []
        assert max(one.queries for one in findings) > 5, "queries are not counted any more"
        paths = {one.path for one in findings}
        assert {"/", "/models/", "/docs/", "/login", "/dashboard/northwind/"} <= paths
        assert_bad_pages_are_found(opened)
        assert_invoices_print(opened)
        assert_the_policy_lets_forms_lead_to_github_alone(opened)


def assert_bad_pages_are_found(opened):
    """The test above would notice: a picture without words, grey on grey in the dark, a breach of the policy."""
    address = next(one for one in opened.addresses if one.name == "landing")
    with opened.looker.look(address, theme="dark") as (page, seen):
        page.evaluate("document.querySelector('main').append(new Image())")
        page.evaluate(
            "document.querySelector('h1').style.color = 'color-mix(in srgb, canvas, gray 20%)'"
        )
        page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'), {text: '1'}))"
        )
        found = violations(page)

    assert any("image-alt" in one for one in found), found
    assert any("color-contrast" in one for one in found), found
    assert any("Content Security Policy" in one for one in seen.complaints), seen.complaints


def assert_the_policy_lets_forms_lead_to_github_alone(opened):
    """Chromium holds `form-action` against redirects, too: without the provider's origin its button does nothing."""
    address = next(one for one in opened.addresses if one.name == "account_login")
    with opened.looker.look_as(STRANGER, address) as (page, seen):
        with page.expect_event(
            "requestfailed", lambda asked: asked.url.startswith(site.NOBODY)
        ) as let:
            page.get_by_role("button", name="Continue with GitHub").click()
        assert let.value.failure == "net::ERR_CONNECTION_REFUSED"
        page.wait_for_url("chrome-error://**", wait_until="commit")
        assert not any("form-action" in one for one in seen.complaints), seen.complaints
    with opened.looker.look_as(STRANGER, address) as (page, seen):
        page.get_by_role("button", name="Continue with Google").click()
        wait_until(lambda: page.title() and any("form-action" in one for one in seen.complaints))


def assert_invoices_print(opened):
    """An invoice goes on A4 in light colours, without navigation, as a table, its sums once at the end."""
    address = next(one for one in opened.addresses if one.name == "dashboard:invoice")
    with opened.looker.look(address, theme="dark", width=720) as (page, _):
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 690, "height": 800})  # what A4 leaves between its margins
        expect(page.locator("h1")).to_have_css("color", DARK_INK)
        scheme, sums, row = page.evaluate(IN_PRINT)
        is_hidden = not page.locator(".rail, .app-bar, .tabs, .crumb").filter(visible=True).count()
        pdf = page.pdf(prefer_css_page_size=True)
        page.emulate_media(media="screen")

    assert (scheme, sums, row) == ("light", "table-row-group", "table-row")
    assert is_hidden
    assert {tuple(map(round, map(float, box))) for box in MEDIA_BOX.findall(pdf)} == {(595, 842)}


def test_page_without_a_sample_is_named(acme, alice):
    with pytest.raises(SampleMissing, match=r"\w+ takes \w+.*: give it a sample"):
        list(url_table.addresses(Samples(alice, acme, {})))


def test_what_is_no_page_is_in_the_table_still():
    names = {name for name, _ in url_table._entries(get_resolver(), "")}

    assert set(NOT_PAGES) <= names
