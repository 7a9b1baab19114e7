"""Playground, log and palette in a real browser: a stream, its stop, its charge, and the way to all of it."""

import re
import time

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import expect

from tests import factories
from tests.journeys import browser

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

SLOW = '{"delay_ms": 150, "tokens": 400}'
QUICK = '{"delay_ms": 60, "tokens": 30}'
MESSAGES_SENT = """async () => {
    const { body } = await import("/static/js/playground/request.js");
    const user = (text) => ({ role: "user", text });
    const failed = { role: "assistant", text: "", error: { code: "no_provider" } };
    const rest = { model: "x", system: "", values: {}, tools: [] };
    const sent = (turns) => body({ ...rest, turns }).messages.map((one) => one.content);
    return [
        sent([user("failed"), failed]),
        sent([user("answered"), { role: "assistant", text: "yes" }, user("failed"), failed, user("now")]),
    ];
}"""
DEADLINE = 60_000  # ms, on a busy machine


@pytest.fixture
def session(transactional_db):
    """The cookie of alice's session; acme has credit and two models of the sandbox."""
    alice = factories.make_user("alice@acme.example")
    acme = factories.make_organization("Acme", owner=alice)
    factories.make_credit(acme, usd="10")
    for name in ("sandbox/echo", "sandbox/error-429", "sandbox/slow"):
        factories.make_model(name)
    factories.make_api_key(acme, name="night batch")
    client = Client()
    assert client.login(email="alice@acme.example", password=factories.PASSWORD)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


@pytest.fixture
def meet(start_servers, session):
    """Return a function that opens a browser of alice's; it must have nothing to complain about."""
    [gateway] = start_servers(1)
    visitors = []
    with browser.chromium() as chromium:

        def meet(**options):
            site_url = f"http://127.0.0.1:{gateway.port}"
            visitors.append(browser.member(chromium, site_url=site_url, session=session, **options))
            return visitors[-1]

        yield meet
        for visitor in visitors:
            visitor.close()
    assert [complaint for visitor in visitors for complaint in visitor.complaints] == []


def ask(page, text):
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Control+Enter")


def test_stream_is_seen_before_its_end_stopped_charged_and_explained(meet):
    alice = meet()
    page = alice.page
    alice.go("/dashboard/acme/playground/?model=sandbox/slow")

    # The text comes before the end, with a running cost; the exact one comes with the end.
    ask(page, QUICK)
    answer = page.locator(".pg-turn[data-role=assistant]").first
    expect(answer).to_contain_text("one two", timeout=DEADLINE)
    expect(answer).to_have_attribute("aria-busy", "true")
    expect(answer).to_contain_text("about $")
    expect(answer.locator("[data-pg-cost]")).to_be_visible(timeout=DEADLINE)
    cost = answer.locator("[data-pg-cost]").inner_text()

    # A stop ends the call: it is charged for what came, far from all of it.
    ask(page, SLOW)
    stopped = page.locator(".pg-turn[data-role=assistant]").last
    expect(stopped).to_contain_text("one two", timeout=DEADLINE)
    page.get_by_role("button", name="Stop").click()
    expect(stopped).to_contain_text("Stopped")
    expect(page.get_by_role("button", name="Send")).to_be_visible()

    # The charge of the first is in the log, and its page says how it came about.
    answer.get_by_role("link", name="Request").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("sandbox/slow")
    words = page.locator("main").inner_text()
    for told in (cost, "Playground, alice@acme.example", "Price list of", "30", "Reported"):
        assert told in words, told

    # It can be played again from there: the model is filled in, and what is not known is said.
    page.get_by_role("link", name="Replay in the playground").click()
    expect(page.get_by_label("Model", exact=True)).to_have_value("sandbox/slow")
    expect(page.locator(".callout")).to_contain_text("Its prompt was not kept")
    page.get_by_label("Mode", exact=True).select_option("test")
    ask(page, QUICK)
    again = page.locator(".pg-turn[data-role=assistant]")
    expect(again).to_contain_text("not charged", timeout=DEADLINE)

    alice.go("/dashboard/acme/requests/?outcome=client_left")
    row = page.get_by_role("row").filter(has_text="sandbox/slow")
    deadline = time.monotonic() + DEADLINE / 1000
    while not row.count():
        assert time.monotonic() < deadline, "the stopped call is not in the log"
        time.sleep(0.2)
        page.reload()
    assert "counted" in row.inner_text()


def test_safe_text_two_models_a_shared_link_and_the_keyboard(meet):
    alice = meet()
    page = alice.page
    alice.go("/dashboard/acme/playground/?model=sandbox/echo")

    # What a model writes never becomes markup.
    ask(page, "**bold** <img src=x onerror=alert(1)> [x](javascript:alert(1)) https://a.example/b")
    answer = page.locator(".pg-turn[data-role=assistant]").last
    expect(answer.locator("strong").first).to_have_text("bold", timeout=DEADLINE)
    expect(answer).to_contain_text("<img src=x onerror=alert(1)>")
    assert answer.locator("img").count() == 0
    hrefs = answer.locator(".pg-text a").evaluate_all("links => links.map(a => a.href)")
    assert hrefs == ["https://a.example/b"]

    # A message that failed is not sent, and paid for, again with the one after it; alone it is what is asked.
    said = page.evaluate(MESSAGES_SENT)
    assert said == [["failed"], ["answered", "yes", "now"]]

    # An error says once what it is, and offers another try.
    model = page.get_by_label("Model", exact=True)
    model.fill("sandbox/error-429")
    ask(page, "Hi")
    failed = page.locator(".pg-turn[data-role=assistant]").last
    expect(failed).to_contain_text("provider_overloaded", timeout=DEADLINE)
    expect(failed.get_by_role("button", name="Try again")).to_be_visible()
    expect(failed).not_to_contain_text("What to do")  # its message says it
    alice.complaints[:] = [one for one in alice.complaints if "503" not in one]
    model.fill("sandbox/echo")

    # Two models side by side; the request as code; a link that holds everything.
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Compare").click()
    page.keyboard.type("slow")
    page.keyboard.press("Enter")
    ask(page, QUICK)
    expect(page.locator("[data-pg-cost]")).to_have_count(2, timeout=DEADLINE)
    page.get_by_role("button", name="View code").click()
    source = page.locator("[data-pg-source=curl]").inner_text()
    assert "sandbox/echo" in source
    assert "/chat/completions" in source
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Share").click()
    expect(page.locator(".toast")).to_contain_text("Link copied")
    link = page.evaluate("navigator.clipboard.readText()")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/dashboard/acme/playground/#s=[\w-]+", link)
    page.goto("about:blank")
    page.goto(link)
    expect(page.locator("#pg-model-2")).to_have_value("sandbox/slow")
    expect(page.locator(".pg-turn[data-role=user]").first).to_contain_text("delay_ms")

    # The palette finds a key; keys lead to the log, and into a request's panel and out again.
    page.keyboard.press("Control+k")
    page.keyboard.type("night")
    expect(page.locator("#palette-list")).to_contain_text("night batch")
    page.keyboard.press("Enter")
    page.wait_for_url("**/keys/key_*/")
    page.wait_for_load_state()
    page.keyboard.press("g")
    page.keyboard.press("l")
    page.wait_for_url("**/requests/")
    page.wait_for_load_state()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    panel = page.locator("#request-panel")
    expect(panel).to_contain_text("Copy as curl")
    assert re.search(r"/requests/req_\w+/$", page.url)
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    page.wait_for_url("**/requests/")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()


def test_form_without_scripts_answers_too(meet):
    carol = meet(javascript=False)
    page = carol.page
    carol.go("/dashboard/acme/playground/?model=sandbox/echo")
    page.get_by_label("Message", exact=True).fill("Is anybody there?")
    page.get_by_role("button", name="Send").click()

    expect(page.locator("[data-role=assistant]")).to_contain_text("Is anybody there?")
    expect(page.locator("[data-role=assistant]")).to_contain_text("$0.")
    page.get_by_role("link", name="Request", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("sandbox/echo")
