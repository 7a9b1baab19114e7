"""A refused call, and the way from the log to the reason, in a real browser without and with JavaScript."""

import time
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from exerati.lib import money
from tests import factories
from tests.journeys import browser
from tests.journeys.browser import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

RECORDED_SECONDS = 30


@pytest.fixture
def secret(transactional_db):
    """A key of acme that may spend next to nothing a month."""
    alice = factories.make_user("alice@acme.example")
    acme = factories.make_organization("Acme", owner=alice)
    factories.make_credit(acme, usd="10")
    factories.make_model()
    return factories.make_api_key(
        acme, name="night batch", budget_month_nanousd=money.NANOUSD_PER_USD // 1_000_000
    ).secret


@pytest.fixture
def session(secret):
    """The cookie of alice's session."""
    client = Client()
    assert client.login(email="alice@acme.example", password=factories.PASSWORD)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def visitor(chromium, gateway, session, **options):
    site_url = f"http://127.0.0.1:{gateway.port}"
    found = Visitor(chromium, site_url=site_url, mail_folder=Path(), **options)
    found.page.context.add_cookies(
        [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": site_url}]
    )
    return found


@pytest.mark.parametrize("javascript", [True, False])
def test_reason_of_a_refusal_is_found_from_the_log(start_servers, secret, session, javascript):
    [gateway] = start_servers(1)
    answer = gateway.chat(secret, model="sandbox/echo", max_tokens=1_000)
    assert (answer.status, answer.error["code"]) == (429, "insufficient_quota")

    with browser.chromium() as chromium:
        alice = visitor(chromium, gateway, session, javascript=javascript)
        page = alice.page
        alice.go("/dashboard/acme/requests/?status=refused")
        row = page.get_by_role("row").filter(has_text="insufficient_quota")
        deadline = time.monotonic() + RECORDED_SECONDS
        while not row.count():
            assert time.monotonic() < deadline, "the refusal is not in the log"
            time.sleep(0.2)
            page.reload()
        assert page.get_by_label("Status", exact=True).input_value() == "refused"
        row.get_by_role("link", name="sandbox/echo").click()

        page.get_by_role("heading", name="Monthly budget").wait_for()
        words = page.locator("main").inner_text()
        for told in (
            answer.headers["x-request-id"],
            "insufficient_quota",
            "$0.000001",
            "The key night batch",
            "held by calls in progress",
            "this call could cost up to",
            "When there is room again:",
            "nothing was charged",
        ):
            assert told in words, told
        page.get_by_role("img", name="limit: $0.000001").wait_for()

        page.get_by_role("link", name="Change the key's limits").click()
        page.get_by_role("heading", name="night batch", level=1).wait_for()
        assert alice.complaints == []
        alice.close()
